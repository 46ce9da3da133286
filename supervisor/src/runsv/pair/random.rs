//! Random lives: any command, death, refusal and delay in any order. [`World`] checks at every step what must always hold;
//! here is what must hold in the end.

use super::super::policy::Policy;
use super::super::service::{Refused, Start};
use super::Which::{self, Log, Main};
use super::world::{Child, LONGEST_WAIT, World};
use crate::status::Want;
use core::time::Duration;
use sys::spawn::Status;

/// Small, seeded, good enough: xorshift64*.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % sides
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.roll(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }
}

const LIVES: u64 = 100_000;
const EVENTS: usize = 40;
const STATUSES: [Status; 5] = [Status::exited(0), Status::exited(0), Status::exited(1), Status(9), Status(0x80 | 11)];

#[test]
fn whatever_happens() {
    let mut ends = [0; 3];
    for seed in 1..=LIVES {
        // The seed tells which life it was.
        let last = std::panic::catch_unwind(|| live(seed)).unwrap_or_else(|e| {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(e)
        });
        ends[last] += 1;
    }
    // All kinds of ends were met.
    assert!(ends.iter().all(|&n| n > 500), "{ends:?}");
}

/// One life; returns whether it ended up, down or left.
fn live(seed: u64) -> usize {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let want = dice.pick(&[Want::Up, Want::Down]);
    let log = dice.pick(&[None, Some(Want::Up), Some(Want::Up), Some(Want::Down)]);
    let mut w = World::new(want, log);
    w.has_finish = dice.one_in(2);
    w.scripts = b"utdxkpchaiq12".iter().copied().filter(|_| dice.one_in(6)).collect();
    w.policy = [policy(&mut dice), policy(&mut dice)];
    w.quiet = true;
    w.lingers = dice.one_in(2);
    // Exiting needs its own lives, or none would get far.
    let leaves = dice.one_in(3);
    let mut last = want;
    let mut left = false;
    for _ in 0..EVENTS {
        if w.done {
            break;
        }
        if dice.one_in(25) {
            w.refusals.push(dice.pick(&[Refused::NoRoom, Refused::NoRoom, Refused::Broken]));
        }
        if dice.one_in(10) {
            // What time it is for people is nothing to go by.
            w.warp = dice.pick(&[0, 3600, -3600, 1 << 33, -100]);
        }
        // What was told to leave is left by the next one too, but not by what is checked in the end.
        if !leaves && dice.one_in(12) {
            let mercy = dice.roll(3);
            w.crash(|child| (usize::try_from(child.pid.as_raw()).unwrap() + mercy).is_multiple_of(3));
        }
        match dice.roll(11) {
            0..=4 => {
                let which = if log.is_some() && dice.one_in(4) { Log } else { Main };
                let byte = dice.pick(b"uuuddoootkpcha\nx");
                if which == Main {
                    match byte {
                        b'u' => last = Want::Up,
                        b'd' | b'o' => last = Want::Down,
                        b'x' if !leaves => continue,
                        b'x' => left = true,
                        _ => {}
                    }
                }
                w.control(which, core::str::from_utf8(&[byte]).unwrap());
            }
            5 if leaves && dice.one_in(4) => {
                w.terminate();
                left = true;
            }
            5 | 6 => {
                w.pass(dice.pick(&[0, 1, 10, 300, 999, 1000, 1001, 6000]));
            }
            7 => {
                let which = dice.pick(&[Main, Main, Log]);
                if dice.one_in(2) {
                    w.notify(which)
                } else {
                    w.followers_go(which)
                };
            }
            _ => {
                if !w.children.is_empty() {
                    let child = w.children[dice.roll(w.children.len())];
                    w.exit(child, dice.pick(&STATUSES));
                }
            }
        }
    }
    check_end(w, last, left)
}

/// Everybody comes to an end, time goes by: what is left is what the last command said.
fn check_end(mut w: World, last: Want, left: bool) -> usize {
    w.refusals.clear();
    // Scripts object no more; each child may be followed by another, but not for ever.
    for _ in 0..40 {
        if w.done {
            break;
        }
        let ending = |c: &&Child| !matches!(c.start, Start::Run);
        if let Some(child) = w.children.iter().find(ending).copied() {
            w.exit(child, Status::exited(1));
        } else {
            w.pass(u64::try_from(LONGEST_WAIT.as_millis()).unwrap());
        }
    }
    let main_ends = |w: &mut World| end_run(w, Main);
    if left {
        main_ends(&mut w);
        end_run(&mut w, Log);
        assert!(w.done, "told to leave and did not");
        return 2;
    }
    assert!(!w.done, "left untold");
    match last {
        Want::Up => {
            assert!(w.running(Main), "wanted up, waits for {}", w.reason);
            main_ends(&mut w);
            let long = u64::try_from(LONGEST_WAIT.as_millis()).unwrap();
            w.pass(long);
            finish_all(&mut w);
            w.pass(long);
            finish_all(&mut w);
            assert!(w.running(Main), "not restarted");
            0
        }
        Want::Down | Want::Exit | Want::Once => {
            main_ends(&mut w);
            w.pass(10_000);
            assert!(!w.running(Main), "wanted down");
            1
        }
    }
}

/// `run` ends now, and so does everything that follows on its death.
fn end_run(w: &mut World, which: Which) {
    if let Some(run) = w.children.iter().find(|c| c.which == which && c.start == Start::Run).copied() {
        w.exit(run, Status(15));
    }
    finish_all(w);
}

fn policy(dice: &mut Dice) -> Policy {
    if dice.one_in(2) {
        return Policy::default();
    }
    let ms = Duration::from_millis;
    let (delay_min, delay_max) = dice.pick(&[(1000, 1000), (300, 4000), (1, 5000), (2000, 3000)]);
    Policy {
        delay_min: ms(delay_min),
        delay_max: ms(delay_max),
        stop_limit: dice.pick(&[None, Some(ms(1)), Some(ms(2000)), Some(ms(5000))]),
        notifies: dice.one_in(2),
        group: dice.one_in(2),
    }
}

fn finish_all(w: &mut World) {
    w.followers_go(Main);
    w.followers_go(Log);
    while let Some(child) = w.children.iter().find(|c| !matches!(c.start, Start::Run)).copied() {
        w.exit(child, Status::exited(1));
    }
}
