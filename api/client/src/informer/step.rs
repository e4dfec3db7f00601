//! The list and watch protocol as a pure state machine: when to list, when to resume, how long to wait.

use std::time::Duration;

/// The first pause after a failure, the longest one, and so the spread of reconnecting clients.
const BACKOFF_FIRST_MS: u64 = 100;
const BACKOFF_MAX_MS: u64 = 5_000;

/// Where the protocol stands. `failures` counts calls that failed in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing to resume from.
    Empty { failures: u32 },
    /// Everything up to `revision` is in the store; no watch is open.
    Resuming { revision: String, failures: u32 },
    /// A watch is open; `heard` once a frame came through it.
    Watching { revision: String, failures: u32, heard: bool },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Listed {
        revision: String,
    },
    Opened,
    /// A frame moved the view to `revision`.
    Heard {
        revision: String,
    },
    /// A frame that could not be read; its object is missing from the view until its next change.
    Unreadable,
    /// The server ended the watch.
    Ended,
    /// A call or a watch failed; `gone` when its history is no longer kept.
    Failed {
        gone: bool,
    },
    Slept,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    List,
    Watch { revision: String },
    Read,
    Sleep(Duration),
}

pub(super) const START: (State, Command) = (State::Empty { failures: 0 }, Command::List);

/// The transition; `jitter` is any random number. Inputs that a state does not expect restart its own work.
pub(super) fn step(state: State, input: Input, jitter: u64) -> (State, Command) {
    match (state, input) {
        (State::Empty { .. }, Input::Listed { revision }) => watch_from(revision, 0),
        (State::Empty { failures }, Input::Failed { .. } | Input::Ended) => {
            (State::Empty { failures: failures + 1 }, pause(failures, jitter))
        }
        (State::Empty { failures }, _) => (State::Empty { failures }, Command::List),

        (State::Resuming { revision, failures }, Input::Opened) => {
            (State::Watching { revision, failures, heard: false }, Command::Read)
        }
        (State::Resuming { failures, .. }, Input::Failed { gone: true }) => relist(failures, jitter),
        (State::Resuming { revision, failures }, Input::Failed { gone: false } | Input::Ended) => {
            (State::Resuming { revision, failures: failures + 1 }, pause(failures, jitter))
        }
        (State::Resuming { revision, failures }, _) => watch_from(revision, failures),

        (State::Watching { .. }, Input::Heard { revision }) => {
            (State::Watching { revision, failures: 0, heard: true }, Command::Read)
        }
        (State::Watching { failures, .. }, Input::Failed { gone: true }) => relist(failures, jitter),
        (State::Watching { revision, heard: true, .. }, Input::Ended) => watch_from(revision, 0),
        (State::Watching { revision, failures, .. }, Input::Ended | Input::Failed { gone: false }) => {
            (State::Resuming { revision, failures: failures + 1 }, pause(failures, jitter))
        }
        (watching @ State::Watching { .. }, _) => (watching, Command::Read),
    }
}

fn watch_from(revision: String, failures: u32) -> (State, Command) {
    (State::Resuming { revision: revision.clone(), failures }, Command::Watch { revision })
}

/// The first 410 lists at once; a server that answers every watch with it is not hammered.
fn relist(failures: u32, jitter: u64) -> (State, Command) {
    let command = if failures == 0 { Command::List } else { pause(failures, jitter) };
    (State::Empty { failures: failures + 1 }, command)
}

/// 100 ms doubled per failure up to 5 s, less up to half of it.
fn pause(failures: u32, jitter: u64) -> Command {
    let full = (BACKOFF_FIRST_MS << failures.min(16)).min(BACKOFF_MAX_MS);
    Command::Sleep(Duration::from_millis(full - jitter % (full / 2 + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resuming(revision: &str, failures: u32) -> State {
        State::Resuming { revision: revision.into(), failures }
    }

    fn watching(revision: &str, failures: u32, heard: bool) -> State {
        State::Watching { revision: revision.into(), failures, heard }
    }

    fn sleep(ms: u64) -> Command {
        Command::Sleep(Duration::from_millis(ms))
    }

    #[test]
    fn transitions() {
        let empty = |failures| State::Empty { failures };
        let watch = |revision: &str| Command::Watch { revision: revision.into() };
        let failed = |gone| Input::Failed { gone };
        let heard = |revision: &str| Input::Heard { revision: revision.into() };
        let rows = [
            (empty(0), Input::Listed { revision: "5".into() }, resuming("5", 0), watch("5")),
            (empty(0), failed(false), empty(1), sleep(100)),
            (empty(3), failed(true), empty(4), sleep(800)),
            (empty(4), Input::Slept, empty(4), Command::List),
            (resuming("5", 0), Input::Opened, watching("5", 0, false), Command::Read),
            (resuming("5", 1), failed(false), resuming("5", 2), sleep(200)),
            (resuming("5", 2), Input::Slept, resuming("5", 2), watch("5")),
            (resuming("5", 0), failed(true), empty(1), Command::List),
            (resuming("5", 1), failed(true), empty(2), sleep(200)),
            (watching("5", 2, false), heard("6"), watching("6", 0, true), Command::Read),
            (watching("6", 0, true), Input::Unreadable, watching("6", 0, true), Command::Read),
            (watching("6", 0, true), Input::Ended, resuming("6", 0), watch("6")),
            (watching("6", 0, false), Input::Ended, resuming("6", 1), sleep(100)),
            (watching("6", 0, true), failed(false), resuming("6", 1), sleep(100)),
            (watching("6", 0, true), failed(true), empty(1), Command::List),
        ];
        for (state, input, next, command) in rows {
            let label = format!("{state:?} on {input:?}");
            assert_eq!(step(state, input, 0), (next, command), "{label}");
        }
    }

    #[test]
    fn pauses_grow_to_a_bound_and_spread() {
        for failures in 0..100 {
            for jitter in [0, 1, 49, u64::MAX] {
                let Command::Sleep(pause) = pause(failures, jitter) else { unreachable!() };
                assert!(pause >= Duration::from_millis(50), "{failures} {jitter}");
                assert!(pause <= Duration::from_millis(BACKOFF_MAX_MS));
            }
        }
        assert_ne!(pause(5, 3), pause(5, 4));
    }
}
