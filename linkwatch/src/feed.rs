//! The kernel's view of one interface, found by name: renamed away it is missing, and another one that gets the name is it.
//!
//! Sets the interface up where that was asked for. Driver part: owns the netlink socket.

use crate::carrier::Link as View;
use netif::IfName;
use netif::ifname::IfIndex;
use netif::link::{Event, Link, LinkError, LinkEvents, Questions};
use netif::sandbox::Rights;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

/// When an interface that is found down is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetUp {
    /// Never (`-a`).
    Never,
    /// Only the one that is there at start (`-A`).
    First,
    /// Always.
    Always,
}

#[derive(Debug)]
pub(crate) struct Feed {
    name: IfName,
    set_up: SetUp,
    events: LinkEvents,
    questions: Questions,
    rights: Rc<Rights>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Events were lost, or none was read yet: what is pending is older than what a query says.
    Stale(Known),
    Fresh(Known),
}

/// The interface that has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Not looked at yet.
    Never,
    Missing,
    Index(IfIndex),
}

impl Feed {
    pub(crate) fn open(name: IfName, set_up: SetUp, rights: Rc<Rights>) -> Result<Self, LinkError> {
        let (events, questions) = (LinkEvents::open()?, Questions::open()?);
        Ok(Self { name, set_up, events, questions, rights, state: State::Stale(Known::Never) })
    }

    /// The next view, none when nothing is new.
    pub(crate) fn next(&mut self) -> Result<Option<View>, LinkError> {
        if let State::Stale(known) = self.state {
            return self.look(known).map(Some);
        }
        while let Some(event) = self.events.event()? {
            match self.relevant(event) {
                Relevance::None => {}
                Relevance::Link(known, Some(link)) if self.wants_up(known, &link) => return self.look(known).map(Some),
                Relevance::Link(_, link) => return Ok(Some(self.seen(link))),
                Relevance::Lost(known) => return self.look(known).map(Some),
            }
        }
        Ok(None)
    }

    /// A look that is newer than all events read so far. Sets the interface up first if need be, so that one whose cable
    /// is in is not told to be down before.
    fn look(&mut self, known: Known) -> Result<View, LinkError> {
        let mut link = self.settled()?;
        if let Some(down) = link.filter(|l| self.wants_up(known, l))
            // One that cannot be set up is simply down.
            && self.rights.set_up(down.index).is_ok()
        {
            link = self.settled()?;
        }
        Ok(self.seen(link))
    }

    /// Asks, and asks again while events say that the answer may be older than they are.
    fn settled(&mut self) -> Result<Option<Link>, LinkError> {
        while self.events.event()?.is_some() {}
        loop {
            let link = match self.questions.query(self.name) {
                Ok(link) => Some(link),
                Err(LinkError::NoSuchInterface) => None,
                Err(e) => return Err(e),
            };
            let mut touched = false;
            while let Some(event) = self.events.event()? {
                touched |= match event {
                    Event::New(new) => new.name == self.name || link.is_some_and(|l| l.index == new.index),
                    Event::Del { index, .. } => link.is_some_and(|l| l.index == index),
                    Event::Overrun => true,
                };
            }
            if !touched {
                return Ok(link);
            }
        }
    }

    fn relevant(&self, event: Event) -> Relevance {
        let (State::Stale(known) | State::Fresh(known)) = self.state;
        match event {
            Event::New(link) if link.name == self.name => Relevance::Link(known, Some(link)),
            Event::New(link) if known == Known::Index(link.index) => Relevance::Link(known, None),
            Event::Del { index, .. } if known == Known::Index(index) => Relevance::Link(known, None),
            Event::New(_) | Event::Del { .. } => Relevance::None,
            Event::Overrun => Relevance::Lost(known),
        }
    }

    fn wants_up(&self, known: Known, link: &Link) -> bool {
        let ours = match self.set_up {
            SetUp::Never => false,
            SetUp::First => known == Known::Never || known == Known::Index(link.index),
            SetUp::Always => true,
        };
        ours && !link.up
    }

    fn seen(&mut self, link: Option<Link>) -> View {
        self.state = State::Fresh(link.map_or(Known::Missing, |l| Known::Index(l.index)));
        link.map_or(View::Missing, |l| View::Present {
            index: l.index.raw(),
            up: l.running(),
            losses: l.carrier_losses,
        })
    }
}

enum Relevance {
    None,
    Link(Known, Option<Link>),
    /// The kernel dropped events.
    Lost(Known),
}

impl AsFd for Feed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}
