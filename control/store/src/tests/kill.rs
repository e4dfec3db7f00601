//! kill -9 under load: a child process writes from 64 tasks and tells what was acknowledged; the parent kills it
//! at a random moment and looks at what is left.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::loop_fs::{block_on, die_with_parent};
use super::*;

const ROUNDS: u64 = 20;
const WRITERS: usize = 64;
/// Writes that a child has done before its time is counted, so that a slow machine shows as much as a fast one; more
/// than one snapshot's worth.
const WARM: usize = 300;
const DIR: &str = "KEELSON_STORE_KILL_DIR";
const ROUND: &str = "KEELSON_STORE_KILL_ROUND";
/// Repeats the moments of an earlier run, whose seed stands in what it said.
const SEED: &str = "KEELSON_STORE_KILL_SEED";

/// The child's part; without its environment it has nothing to do.
#[test]
fn child_of_kill_test() {
    let (Ok(dir), Ok(round)) = (std::env::var(DIR), std::env::var(ROUND)) else { return };
    die_with_parent();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        // Snapshots and purges of the log go on all the time, so that some are hit, too.
        let options = Options { snapshot_log_bytes: 20_000, ..options(Path::new(&dir)) };
        let store = Store::open(options).await.unwrap();
        let mut watcher = store.watch(KIND, "", store.revision()).unwrap();
        tell(&format!("open {}", store.revision()));
        tokio::spawn(async move {
            while let Ok(event) = watcher.next().await {
                tell(&format!("seen {} {}", event.revision, event.key));
            }
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|w| tokio::spawn(write_for_ever(store.clone(), format!("w{w}"), round.clone())))
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

async fn write_for_ever(store: Store, name: String, round: String) {
    for n in 0u64.. {
        let (key, body) = (format!("{name}/{}", n % 4), format!("{round}-{n}"));
        let write = if n % 13 == 12 { delete(&key, Expect::Any) } else { put(&key, Expect::Any, &body) };
        match store.write(write).await.unwrap() {
            Outcome::Done(stored) => tell(&format!("done {} {key} {body}", stored.revision)),
            Outcome::Conflict(there) => panic!("{there:?}"),
        }
    }
}

/// One line in one write: the pipe takes it whole or not at all.
fn tell(line: &str) {
    std::io::stdout().lock().write_all(format!("\n@{line}\n").as_bytes()).unwrap();
}

/// What a child said before it died.
#[derive(Default)]
struct Told {
    opened_at: u64,
    done: Vec<(u64, String, String)>,
    seen: Vec<u64>,
}

fn run_and_kill(dir: &Path, round: u64, after: Duration) -> Told {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::kill::child_of_kill_test", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut told = Told::default();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut killer = None;
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        let words: Vec<_> = line.strip_prefix('@').unwrap_or("").split_whitespace().collect();
        match words[..] {
            ["open", revision] => told.opened_at = revision.parse().unwrap(),
            ["seen", revision, _] => told.seen.push(revision.parse().unwrap()),
            ["done", revision, key, body] if line.ends_with('\n') => {
                told.done.push((revision.parse().unwrap(), key.into(), body.into()));
            }
            _ => {}
        }
        line.clear();
        if killer.is_none() && told.done.len() >= WARM {
            let id = nix::unistd::Pid::from_raw(child.id() as i32);
            killer = Some(std::thread::spawn(move || {
                std::thread::sleep(after);
                nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL).unwrap();
            }));
        }
    }
    killer.expect("the child did too little").join().unwrap();
    child.wait().unwrap();
    told
}

/// Says with what seed the moments were chosen when the test fails, wherever that is.
struct Seed(u64);

impl Seed {
    /// The one of the environment, or of the clock.
    fn choose() -> Self {
        let given = std::env::var(SEED).ok();
        let clock = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        Self(given.map_or_else(clock, |seed| seed.parse().expect("KEELSON_STORE_KILL_SEED is a number")))
    }

    /// When the child of a round is killed, after its first write.
    fn moments(&self) -> impl Iterator<Item = Duration> + use<> {
        let mut random = self.0 | 1;
        std::iter::repeat_with(move || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Duration::from_millis(20 + (random >> 33) % 200)
        })
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the kills came at the moments of {SEED}={}", self.0);
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_in_twenty_kills() {
    let dir = tempfile::tempdir().unwrap();
    let seed = Seed::choose();
    let mut checked = 0;
    let mut total = 0;
    for (round, after) in (0..ROUNDS).zip(seed.moments()) {
        let told = run_and_kill(dir.path(), round, after);
        assert!(told.opened_at >= checked, "round {round}: the child opened an older state");
        total += told.done.len();
        checked = block_on(check(dir.path(), checked, told, round));
    }
    assert!(dir.path().join("snapshots").read_dir().unwrap().count() > 0, "no snapshot was made");
    assert!(total > 1000, "only {total} writes were acknowledged in all rounds");
}

#[test]
fn a_seed_repeats_its_moments() {
    let moments = |seed| Seed(seed).moments().take(ROUNDS as usize).collect::<Vec<_>>();
    assert_eq!(moments(7), moments(7));
    assert_ne!(moments(7), moments(9));
    assert!(moments(7).iter().all(|after| (20..220).contains(&after.as_millis())));
}

/// Opens what the kill left. Gives its revision.
async fn check(dir: &Path, checked: u64, told: Told, round: u64) -> u64 {
    let store = open(dir).await;
    let mut watcher = store.watch(KIND, "", checked).unwrap();
    let mut history = HashMap::new();
    let mut last = checked;
    for event in drain(&mut watcher) {
        assert_eq!(event.revision, last + 1, "round {round}: a gap or a duplicate");
        last = event.revision;
        history.insert(last, event);
    }
    assert_eq!(last, store.revision());
    for (revision, key, body) in &told.done {
        let event = history
            .get(revision)
            .unwrap_or_else(|| panic!("round {round}: {key} at {revision} was acknowledged and is gone"));
        assert_eq!(&*event.key, key);
        if event.kind != EventKind::Delete {
            assert_eq!(event.value.bytes, json(*revision, body).as_bytes(), "round {round}: a half write");
        }
    }
    let mut by_revision: Vec<_> = told.done.iter().map(|d| d.0).collect();
    by_revision.sort_unstable();
    assert!(by_revision.windows(2).all(|w| w[0] < w[1]), "round {round}: a revision was given twice");
    assert!(told.seen.windows(2).all(|w| w[0] + 1 == w[1]), "round {round}: the child's watch had a gap");
    // Where the child's watch was when it died, a watch goes on here.
    if let Some(seen) = told.seen.last() {
        let resumed = drain(&mut store.watch(KIND, "", *seen).unwrap());
        let revisions: Vec<_> = resumed.iter().map(|e| e.revision).collect();
        assert_eq!(revisions, (seen + 1..=last).collect::<Vec<_>>(), "round {round}");
    }
    let listed = contents(&store.snapshot(KIND));
    let mut folded = std::collections::BTreeMap::new();
    for event in drain(&mut store.watch(KIND, "", 0).unwrap()) {
        match event.kind {
            EventKind::Put { .. } => folded.insert(event.key.to_string(), event.revision),
            EventKind::Delete => folded.remove(&*event.key),
        };
    }
    assert_eq!(listed, folded.into_iter().collect::<Vec<_>>(), "round {round}: list and watch differ");
    store.shutdown().await;
    last
}
