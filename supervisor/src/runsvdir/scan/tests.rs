//! Scripts of time and input, and random lives of a services directory.

use super::*;

/// Starts every runsv it is asked for and shows the machine a directory.
struct World {
    scan: Scan,
    now: Instant,
    /// What is in the directory: name, inode, made in place and not yet looked at.
    entries: Vec<(String, u64, bool)>,
    readable: bool,
    watched: bool,
    /// Inodes of directories without `run`.
    empty: Vec<u64>,
    /// Inodes whose lock somebody has: a runsv, or one that cannot be found out.
    held: Vec<(u64, Kept)>,
    startable: bool,
    /// Living runsv: inode, name.
    alive: Vec<(u64, String)>,
    trace: Vec<String>,
    deadline: Option<Instant>,
}

impl World {
    fn new(entries: &[(&str, u64)]) -> Self {
        let now = Instant::from_secs(50);
        let mut w = Self {
            scan: Scan::new(now),
            now,
            entries: Vec::new(),
            readable: true,
            watched: true,
            empty: Vec::new(),
            held: Vec::new(),
            startable: true,
            alive: Vec::new(),
            trace: Vec::new(),
            deadline: None,
        };
        w.set(entries);
        w
    }

    fn set(&mut self, entries: &[(&str, u64)]) {
        self.entries = entries.iter().map(|&(name, ino)| (name.to_owned(), ino, false)).collect();
    }

    fn feed(&mut self, input: Input) {
        self.scan.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        for step in 0.. {
            assert!(step < 1000, "spins");
            let answer = match self.scan.poll() {
                Output::Scan => Input::Scanned(self.read()),
                Output::Look(id, _) => Input::Looked(id, !self.empty.contains(&id.ino)),
                Output::Start(id, name) => {
                    let name = name.to_str().unwrap().to_owned();
                    assert!(!self.alive.iter().any(|(ino, _)| *ino == id.ino), "second runsv {name}");
                    let held = self.held.iter().position(|(ino, _)| *ino == id.ino);
                    let kept = match held.map(|at| self.held[at].1) {
                        Some(kept) => kept,
                        None if self.startable => Kept::New,
                        None => Kept::Not,
                    };
                    let sign = match kept {
                        Kept::New | Kept::Not => '+',
                        Kept::Taken => '=',
                        Kept::Locked => '?',
                    };
                    self.trace.push(format!("{sign}{name}"));
                    if matches!(kept, Kept::New | Kept::Taken) {
                        self.alive.push((id.ino, name));
                    }
                    Input::Started(id, kept)
                }
                Output::Stop(id) => {
                    let (_, name) = self.alive.iter().find(|(ino, _)| *ino == id.ino).unwrap();
                    self.trace.push(format!("-{name}"));
                    continue;
                }
                Output::Waits(name, _) => {
                    self.trace.push(format!("{} waits", name.to_str().unwrap()));
                    continue;
                }
                Output::Lacks(name) => {
                    self.trace.push(format!("{} lacks", name.to_str().unwrap()));
                    continue;
                }
                Output::Locked(name) => {
                    self.trace.push(format!("{} locked", name.to_str().unwrap()));
                    continue;
                }
                Output::Wait(deadline) => {
                    assert!(deadline.is_none_or(|at| at > self.now), "spins");
                    self.deadline = deadline;
                    return;
                }
                Output::Done(code) => {
                    self.trace.push(format!("done {code}"));
                    return;
                }
            };
            self.scan.handle(self.now, answer);
        }
    }

    fn read(&mut self) -> Found {
        let watched = self.watched;
        if !self.readable {
            return Found::Nothing { watched };
        }
        let see = |(name, ino, young): &mut (String, u64, bool)| Seen {
            id: Id { dev: 1, ino: *ino },
            name: CString::new(name.as_str()).unwrap(),
            young: core::mem::take(young),
        };
        Found::Services { seen: self.entries.iter_mut().map(see).collect(), watched }
    }

    fn told(&mut self) -> String {
        core::mem::take(&mut self.trace).join(" ")
    }

    fn pass(&mut self, ms: u64) -> String {
        self.now = self.now + Duration::from_millis(ms);
        self.feed(Input::Time);
        self.told()
    }

    /// The directory is now this; long enough after the last change to be looked at at once.
    fn change(&mut self, entries: &[(&str, u64)]) -> String {
        self.set(entries);
        self.now = self.now + GATHER;
        self.feed(Input::Changed);
        self.told()
    }

    fn die(&mut self, name: &str) -> String {
        let at = self.alive.iter().position(|(_, n)| n == name).unwrap();
        let (ino, _) = self.alive.remove(at);
        self.feed(Input::Ended(Id { dev: 1, ino }));
        self.told()
    }

    fn waits(&self) -> Option<u128> {
        self.deadline.map(|at| at.since(self.now).as_millis())
    }
}

#[test]
fn starts_what_is_there_and_then_sleeps() {
    let mut w = World::new(&[("b", 2), ("a", 1)]);
    assert_eq!((w.pass(0), w.waits()), ("+a +b".into(), None));
    assert_eq!((w.pass(3_600_000), w.waits()), (String::new(), None));
}

#[test]
fn comes_and_goes() {
    let mut w = World::new(&[("a", 1)]);
    w.pass(0);
    assert_eq!(w.change(&[("a", 1), ("b", 2)]), "+b");
    assert_eq!(w.change(&[("b", 2)]), "-a");
    assert_eq!((w.die("a"), w.waits()), (String::new(), None));
}

#[test]
fn a_dead_runsv_is_replaced_at_once_unless_it_was_young() {
    let mut w = World::new(&[("a", 1)]);
    w.pass(0);
    w.pass(1000);
    assert_eq!(w.die("a"), "+a");
    w.pass(400);
    assert_eq!((w.die("a"), w.waits()), (String::new(), Some(600)));
    assert_eq!((w.pass(599), w.pass(1)), (String::new(), "+a".into()));
}

#[test]
fn changes_in_quick_succession_are_looked_at_together() {
    let mut w = World::new(&[]);
    w.pass(0);
    w.set(&[("a", 1)]);
    w.feed(Input::Changed);
    w.feed(Input::Changed);
    assert_eq!((w.told(), w.waits()), (String::new(), Some(5)));
    assert_eq!((w.pass(5), w.waits()), ("+a".into(), None));
}

#[test]
fn two_names_of_one_directory_are_one_service() {
    let mut w = World::new(&[("z", 1), ("a", 1)]);
    assert_eq!(w.pass(0), "+z");
    // The one it was started by stays its name as long as it is there.
    assert_eq!(w.change(&[("a", 1), ("z", 1)]), "");
    w.pass(2000);
    assert_eq!(w.die("z"), "+z");
    w.pass(2000);
    assert_eq!(w.change(&[("a", 1)]), "");
    assert_eq!(w.die("z"), "+a");
}

#[test]
fn a_renamed_link_keeps_its_runsv() {
    let mut w = World::new(&[("a", 1), ("b", 2)]);
    w.pass(0);
    assert_eq!(w.change(&[("b", 1), ("a", 2)]), "");
}

#[test]
fn another_directory_under_the_name_waits_for_the_old_runsv() {
    let mut w = World::new(&[("a", 1)]);
    w.pass(0);
    assert_eq!(w.change(&[("a", 9)]), "-a a waits");
    assert_eq!((w.pass(60_000), w.waits()), (String::new(), None));
    assert_eq!(w.die("a"), "+a");
    // Also when the new one has the smaller inode.
    assert_eq!(w.change(&[("a", 3)]), "a waits -a");
    assert_eq!(w.die("a"), "+a");
}

#[test]
fn a_service_that_comes_back_before_its_runsv_is_gone() {
    let mut w = World::new(&[("a", 1)]);
    w.pass(0);
    assert_eq!(w.change(&[]), "-a");
    assert_eq!(w.change(&[("a", 1)]), "");
    assert_eq!(w.die("a"), "+a");
}

#[test]
fn a_directory_made_in_place_is_left_alone_until_it_is_quiet() {
    let mut w = World::new(&[]);
    w.pass(0);
    w.entries = vec![("a".into(), 1, true)];
    w.pass(100);
    w.feed(Input::Changed);
    assert_eq!((w.told(), w.waits()), (String::new(), Some(50)));
    w.pass(30);
    w.feed(Input::Stirred(Id { dev: 1, ino: 1 }));
    // A scan in between does not start it either.
    w.feed(Input::Changed);
    assert_eq!((w.told(), w.waits()), (String::new(), Some(50)));
    assert_eq!(w.scan.young().count(), 1);
    assert_eq!((w.pass(49), w.pass(1)), (String::new(), "+a".into()));
    assert_eq!(w.scan.young().count(), 0);
}

#[test]
fn a_directory_made_in_place_waits_for_its_run() {
    let mut w = World::new(&[]);
    w.pass(0);
    w.empty = vec![1];
    w.entries = vec![("a".into(), 1, true)];
    w.pass(100);
    w.feed(Input::Changed);
    assert_eq!((w.pass(50), w.waits()), ("a lacks".into(), None));
    let stir = Input::Stirred(Id { dev: 1, ino: 1 });
    w.feed(stir);
    assert_eq!(w.pass(50), "a lacks");
    w.empty.clear();
    w.feed(Input::Stirred(Id { dev: 1, ino: 1 }));
    assert_eq!(w.pass(50), "+a");
    w.entries = vec![("a".into(), 1, false), ("b".into(), 2, true)];
    w.feed(Input::Changed);
    w.entries.pop();
    assert_eq!((w.pass(5), w.pass(5), w.waits()), (String::new(), String::new(), Some(40)));
    w.feed(Input::Changed);
    assert_eq!((w.pass(5), w.waits()), (String::new(), None));
}

#[test]
fn what_cannot_be_watched_is_looked_at_every_five_seconds() {
    let mut w = World::new(&[("a", 1)]);
    w.watched = false;
    assert_eq!((w.pass(0), w.waits()), ("+a".into(), Some(5000)));
    w.set(&[("a", 1), ("b", 2)]);
    assert_eq!((w.pass(4999), w.pass(1), w.waits()), (String::new(), "+b".into(), Some(5000)));
}

#[test]
fn an_unreadable_directory_stops_nobody() {
    let mut w = World::new(&[("a", 1)]);
    w.pass(0);
    w.readable = false;
    assert_eq!((w.change(&[]), w.waits()), (String::new(), None));
    w.pass(2000);
    assert_eq!(w.die("a"), "+a");
    w.readable = true;
    assert_eq!(w.change(&[]), "-a");
}

#[test]
fn a_runsv_that_cannot_be_started_is_tried_again() {
    let mut w = World::new(&[("a", 1)]);
    w.startable = false;
    assert_eq!((w.pass(0), w.waits()), ("+a".into(), Some(5000)));
    w.startable = true;
    assert_eq!(w.pass(5000), "+a");
}

#[test]
fn a_runsv_that_runs_already_is_taken_over() {
    let mut w = World::new(&[("a", 1), ("b", 2)]);
    w.held = vec![(1, Kept::Taken)];
    assert_eq!((w.pass(0), w.waits()), ("=a +b".into(), None));
    w.held.clear();
    // However soon it ends, it has lived for some time.
    w.pass(10);
    assert_eq!(w.die("a"), "+a");
    w.held = vec![(1, Kept::Taken)];
    w.pass(1000);
    assert_eq!(w.die("a"), "=a");
    assert_eq!(w.change(&[("b", 2)]), "-a");
}

#[test]
fn a_lock_of_somebody_unknown_is_told_once_and_looked_at_every_five_seconds() {
    let mut w = World::new(&[("a", 1)]);
    w.held = vec![(1, Kept::Locked)];
    assert_eq!((w.pass(0), w.waits()), ("?a a locked".into(), Some(5000)));
    assert_eq!((w.pass(4999), w.pass(1), w.waits()), (String::new(), "?a".into(), Some(5000)));
    w.held.clear();
    assert_eq!((w.pass(5000), w.waits()), ("+a".into(), None));
    w.held = vec![(1, Kept::Locked)];
    w.pass(1000);
    assert_eq!(w.die("a"), "?a a locked");
    assert_eq!((w.change(&[]), w.waits()), (String::new(), None));
}

#[test]
fn term_leaves_everything_running_and_hup_stops_everything() {
    let mut w = World::new(&[("a", 1), ("b", 2)]);
    w.pass(0);
    w.feed(Input::Terminate);
    assert_eq!(w.told(), "done 0");
    let mut w = World::new(&[("a", 1), ("b", 2), ("c", 3)]);
    w.pass(0);
    w.change(&[("a", 1), ("b", 2)]);
    w.feed(Input::Hangup);
    assert_eq!(w.told(), "-a -b -c done 111");
}

#[test]
fn the_end_of_what_is_not_known_is_nothing() {
    let mut w = World::new(&[("a", 1)]);
    w.pass(0);
    w.feed(Input::Ended(Id { dev: 1, ino: 77 }));
    assert_eq!((w.told(), w.alive.len()), (String::new(), 1));
}

/// Directories and runsv come and go at random; when all is quiet there is one runsv for each directory, and no other.
#[test]
fn whatever_happens() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = |n: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 20) % n
    };
    for _ in 0..3000 {
        let mut w = World::new(&[]);
        for _ in 0..30 {
            w.startable = roll(10) > 0;
            w.held = [Kept::New, Kept::Taken, Kept::Locked, Kept::Not].map(|kept| (roll(15), kept)).into();
            w.held.retain(|(ino, _)| !w.alive.iter().any(|(alive, _)| alive == ino));
            match roll(5) {
                0 | 1 => {
                    let name = ["a", "b", "c", "d"][usize::try_from(roll(4)).unwrap()];
                    w.entries.retain(|(n, ..)| n != name);
                    if roll(3) > 0 {
                        w.entries.push((name.to_owned(), roll(5), roll(4) == 0));
                    }
                    w.feed(Input::Changed);
                }
                2 => {
                    w.pass(roll(1500));
                }
                3 => w.feed(Input::Stirred(Id { dev: 1, ino: roll(5) })),
                _ => {
                    if !w.alive.is_empty() {
                        let at = usize::try_from(roll(u64::try_from(w.alive.len()).unwrap())).unwrap();
                        let name = w.alive[at].1.clone();
                        w.die(&name);
                    }
                }
            }
        }
        w.startable = true;
        w.held.clear();
        for _ in 0..3 {
            w.pass(6000);
            let inos: Vec<u64> = w.entries.iter().map(|(_, ino, _)| *ino).collect();
            while let Some((_, name)) = w.alive.iter().find(|(ino, _)| !inos.contains(ino)).cloned() {
                w.die(&name);
            }
        }
        let mut wanted: Vec<u64> = w.entries.iter().map(|(_, ino, _)| *ino).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut there: Vec<u64> = w.alive.iter().map(|(ino, _)| *ino).collect();
        there.sort_unstable();
        assert_eq!(there, wanted);
    }
}
