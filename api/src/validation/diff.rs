//! The differences of two texts in the unified form, three lines of context: what messages show of an update
//! that may not be.
//!
//! Clients see these texts, so the lines are matched as Python's `difflib` (and its Go port) does: the longest
//! common block first, then what lies left and right of it; in long texts, lines that stand in more than one
//! hundredth of the places begin no block.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::ops::Range;

const CONTEXT: usize = 3;
/// From how many lines on popular lines are passed over.
const LONG: usize = 200;

/// A stretch of lines of the first text and what stands in its place in the second.
#[derive(Clone, Debug)]
struct Step {
    equal: bool,
    old: Range<usize>,
    new: Range<usize>,
}

/// The differences between `old` and `new`; empty when there are none.
pub fn unified(old: &str, new: &str) -> String {
    let (old, new) = (old.split('\n').collect::<Vec<_>>(), new.split('\n').collect::<Vec<_>>());
    let mut out = String::new();
    for group in groups(steps(&old, &new)) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let span = |from: usize, to: usize| match to - from {
            1 => format!("{}", from + 1),
            0 => format!("{from},0"),
            length => format!("{},{length}", from + 1),
        };
        let (a, b) = (span(first.old.start, last.old.end), span(first.new.start, last.new.end));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "@@ -{a} +{b} @@");
        for step in &group {
            if step.equal {
                old[step.old.clone()].iter().for_each(|line| push(&mut out, ' ', line));
                continue;
            }
            old[step.old.clone()].iter().for_each(|line| push(&mut out, '-', line));
            new[step.new.clone()].iter().for_each(|line| push(&mut out, '+', line));
        }
    }
    out
}

fn push(out: &mut String, mark: char, line: &str) {
    out.push(mark);
    out.push_str(line);
    out.push('\n');
}

/// The way from the first text to the second, equal and unequal stretches in turn.
fn steps(old: &[&str], new: &[&str]) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut i, mut j) = (0, 0);
    let mut blocks = blocks(old, new);
    blocks.push((old.len(), new.len(), 0));
    for (a, b, length) in blocks {
        if i < a || j < b {
            steps.push(Step { equal: false, old: i..a, new: j..b });
        }
        if length > 0 {
            steps.push(Step { equal: true, old: a..a + length, new: b..b + length });
        }
        (i, j) = (a + length, b + length);
    }
    steps
}

/// The common blocks in order, adjacent ones joined.
fn blocks(old: &[&str], new: &[&str]) -> Vec<(usize, usize, usize)> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, line) in new.iter().enumerate() {
        places.entry(line).or_default().push(index);
    }
    if new.len() >= LONG {
        let most = new.len() / 100 + 1;
        places.retain(|_, list| list.len() <= most);
    }
    let mut found = BTreeMap::new();
    let mut open = vec![(0..old.len(), 0..new.len())];
    while let Some((in_old, in_new)) = open.pop() {
        let (i, j, length) = longest(old, new, &places, in_old.clone(), in_new.clone());
        if length == 0 {
            continue;
        }
        found.insert((i, j), length);
        open.push((in_old.start..i, in_new.start..j));
        open.push((i + length..in_old.end, j + length..in_new.end));
    }
    let mut joined: Vec<(usize, usize, usize)> = Vec::new();
    for ((i, j), length) in found {
        match joined.last_mut() {
            Some((a, b, before)) if *a + *before == i && *b + *before == j => *before += length,
            _ => joined.push((i, j, length)),
        }
    }
    joined
}

/// The longest common block within two stretches: the first of equally long ones.
fn longest(
    old: &[&str],
    new: &[&str],
    places: &HashMap<&str, Vec<usize>>,
    in_old: Range<usize>,
    in_new: Range<usize>,
) -> (usize, usize, usize) {
    let (mut i, mut j, mut length) = (in_old.start, in_new.start, 0);
    let mut lengths: HashMap<usize, usize> = HashMap::new();
    for a in in_old.clone() {
        let mut next = HashMap::new();
        for &b in places.get(old[a]).into_iter().flatten().filter(|b| in_new.contains(b)) {
            let run = b.checked_sub(1).and_then(|before| lengths.get(&before)).copied().unwrap_or(0) + 1;
            next.insert(b, run);
            if run > length {
                (i, j, length) = (a + 1 - run, b + 1 - run, run);
            }
        }
        lengths = next;
    }
    // Popular lines begin no block, but extend one.
    while i > in_old.start && j > in_new.start && old[i - 1] == new[j - 1] {
        (i, j, length) = (i - 1, j - 1, length + 1);
    }
    while i + length < in_old.end && j + length < in_new.end && old[i + length] == new[j + length] {
        length += 1;
    }
    (i, j, length)
}

/// Groups the steps around what differs, with a few equal lines before and after.
fn groups(mut steps: Vec<Step>) -> Vec<Vec<Step>> {
    if let Some(first) = steps.first_mut().filter(|step| step.equal) {
        first.old.start = first.old.start.max(first.old.end.saturating_sub(CONTEXT));
        first.new.start = first.new.start.max(first.new.end.saturating_sub(CONTEXT));
    }
    if let Some(last) = steps.last_mut().filter(|step| step.equal) {
        last.old.end = last.old.end.min(last.old.start + CONTEXT);
        last.new.end = last.new.end.min(last.new.start + CONTEXT);
    }
    let mut groups = Vec::new();
    let mut group = Vec::new();
    for step in steps {
        if step.equal && step.old.len() > 2 * CONTEXT {
            let mut tail = step.clone();
            tail.old.end = tail.old.start + CONTEXT;
            tail.new.end = tail.new.start + CONTEXT;
            group.push(tail);
            groups.push(std::mem::take(&mut group));
            let mut head = step;
            head.old.start = head.old.end - CONTEXT;
            head.new.start = head.new.end - CONTEXT;
            group.push(head);
        } else {
            group.push(step);
        }
    }
    groups.push(group);
    groups.retain(|group| group.iter().any(|step| !step.equal));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_changes_in_context() {
        let numbers = |skip: usize| {
            let lines = (1..=12).filter(|n| *n != skip).map(|n| n.to_string()).collect::<Vec<_>>();
            lines.join("\n")
        };
        assert_eq!(unified(&numbers(0), &numbers(0)), "");
        assert_eq!(unified(&numbers(0), &numbers(6)), "@@ -3,7 +3,6 @@\n 3\n 4\n 5\n-6\n 7\n 8\n 9\n");
        assert_eq!(unified(&numbers(1), &numbers(0)), "@@ -1,3 +1,4 @@\n+1\n 2\n 3\n 4\n");
        let two = numbers(0).replace("1\n2\n", "x\n2\n").replace("12", "y");
        assert_eq!(
            unified(&numbers(0), &two),
            "@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n 4\n@@ -9,4 +9,4 @@\n 9\n 10\n 11\n-12\n+y\n"
        );
    }

    #[test]
    fn one_line_texts() {
        assert_eq!(unified("a", "b"), "@@ -1 +1 @@\n-a\n+b\n");
    }
}
