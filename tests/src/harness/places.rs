//! How many clusters there are at a time, and whose is the next.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

/// How much of the machine a test has.
#[derive(Clone, Copy)]
pub enum Share {
    /// One of [`COUNT`] places: clusters wait more than they work.
    Half,
    /// All of them, as it measures time. Whoever rests goes on beside it.
    Whole,
}

impl Share {
    fn places(self) -> usize {
        match self {
            Self::Half => 1,
            Self::Whole => COUNT,
        }
    }
}

/// How many places there are: three clusters at work on two cores would change what is measured in time limits.
const COUNT: usize = 2;

/// Who may have a cluster now. No guard of a lock: a turn is given and taken by different threads of a test.
pub struct Places {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    free: usize,
    /// Who waits, the next one first: one who waits for the whole machine is not passed by those who need less.
    queue: VecDeque<u64>,
    /// The number of the next one who asks.
    next: u64,
}

impl Places {
    pub const fn new() -> Self {
        let state = State { free: COUNT, queue: VecDeque::new(), next: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub fn take(&self, share: Share) {
        self.wait(share, VecDeque::push_back);
    }

    fn wait(&self, share: Share, enqueue: fn(&mut VecDeque<u64>, u64)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let number = state.next;
        state.next += 1;
        enqueue(&mut state.queue, number);
        let must_wait =
            |state: &mut State| state.queue.front() != Some(&number) || state.free < share.places();
        let waited = self.changed.wait_while(state, must_wait);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.queue.pop_front();
        state.free -= share.places();
        // There may be room for the next one, too.
        self.changed.notify_all();
    }

    pub fn give(&self, share: Share) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).free += share.places();
        self.changed.notify_all();
    }

    /// Gives the places away and takes them again, however `waits` ends: before those who have not begun.
    pub fn rest<T>(&self, share: Share, waits: impl FnOnce() -> T) -> T {
        struct Again<'a>(&'a Places, Share);
        impl Drop for Again<'_> {
            fn drop(&mut self) {
                self.0.wait(self.1, VecDeque::push_front);
            }
        }
        self.give(share);
        let _again = Again(self, share);
        waits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn who_rests_lets_others_in_and_comes_back() {
        static PLACES: Places = Places::new();
        let (said, heard) = channel();
        PLACES.take(Share::Whole);
        let other = std::thread::spawn(move || {
            PLACES.take(Share::Half);
            said.send("in").unwrap();
            std::thread::sleep(Duration::from_millis(100));
            said.send("out").unwrap();
            PLACES.give(Share::Half);
        });
        assert!(heard.recv_timeout(Duration::from_millis(100)).is_err(), "the other waits");
        let broken = std::panic::catch_unwind(|| {
            PLACES.rest(Share::Whole, || {
                assert_eq!(heard.recv(), Ok("in"));
                panic!("while it rests");
            })
        });
        assert!(broken.is_err());
        assert_eq!(heard.try_recv(), Ok("out"), "back when the other has ended, also after a panic");
        assert_eq!(PLACES.state.lock().unwrap().free, 0);
        other.join().unwrap();
    }

    /// Two small ones run at a time; a great one waits for both, and no small one overtakes it unless it had begun.
    #[test]
    fn the_order_of_turns() {
        static PLACES: Places = Places::new();
        let (said, heard) = channel();
        PLACES.take(Share::Half);
        PLACES.take(Share::Half);
        let mut threads = Vec::new();
        for (waiting, (name, share)) in
            [("great", Share::Whole), ("small", Share::Half)].into_iter().enumerate()
        {
            let said = said.clone();
            threads.push(std::thread::spawn(move || {
                PLACES.take(share);
                said.send(name).unwrap();
                PLACES.give(share);
            }));
            while PLACES.state.lock().unwrap().queue.len() <= waiting {
                std::thread::yield_now();
            }
        }
        PLACES.rest(Share::Half, || {
            let early = heard.recv_timeout(Duration::from_millis(100));
            assert!(early.is_err(), "one place is free, and the first in the row needs both: {early:?}");
        });
        PLACES.give(Share::Half);
        PLACES.give(Share::Half);
        assert_eq!([heard.recv(), heard.recv()], [Ok("great"), Ok("small")]);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
