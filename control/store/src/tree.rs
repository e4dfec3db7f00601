//! A copy-on-write ordered map: a B+-tree of shared nodes.
//!
//! A clone is one pointer. A change copies the nodes on its path, and only those that another clone still holds;
//! so a batch of changes between two publications copies each touched node once. Own code, because the persistent
//! maps to be had keep one node per entry (twice the memory) or are under licences that the project does not take.
//!
//! Never reads a document: it orders keys.

use std::sync::Arc;

use crate::object::Stored;

/// Entries per leaf and children per inner node, at most. Copying a node touches each entry's reference count, so
/// wider is not faster.
const WIDTH: usize = 32;

/// One key with its document, shared by every version of the map that holds it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub key: Arc<str>,
    pub stored: Stored,
    /// Where the revision's digits start in the document.
    pub version_at: u32,
}

/// The map. See the module.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    root: Arc<Node>,
}

#[derive(Clone, Debug)]
enum Node {
    Leaf(Vec<Arc<Entry>>),
    Inner(Vec<Child>),
}

#[derive(Clone, Debug)]
struct Child {
    /// No key below is smaller. Exact after a split; may be lower than the smallest key after removals.
    low: Arc<str>,
    /// Entries below.
    len: usize,
    node: Arc<Node>,
}

impl Default for Tree {
    fn default() -> Self {
        Tree { root: Arc::new(Node::Leaf(Vec::new())) }
    }
}

impl Tree {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.root.len()
    }

    pub fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        let mut node = &*self.root;
        loop {
            match node {
                Node::Leaf(entries) => {
                    return entries.binary_search_by(|e| (*e.key).cmp(key)).ok().map(|at| &entries[at]);
                }
                Node::Inner(children) => node = &children[child_for(children, key)].node,
            }
        }
    }

    /// Puts the entry in; gives back the one it replaces.
    pub fn insert(&mut self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        let root = Arc::make_mut(&mut self.root);
        let (old, split) = root.insert(entry);
        if let Some(right) = split {
            let left = std::mem::replace(root, Node::Leaf(Vec::new()));
            *root = Node::Inner(vec![Child::of(left), right]);
        }
        old
    }

    /// Takes the key's entry out.
    pub fn remove(&mut self, key: &str) -> Option<Arc<Entry>> {
        self.get(key)?;
        let root = Arc::make_mut(&mut self.root);
        let old = root.remove(key);
        while let Node::Inner(children) = root {
            match children.len() {
                0 => *root = Node::Leaf(Vec::new()),
                1 => {
                    let only = children.remove(0);
                    *root = Arc::unwrap_or_clone(only.node);
                }
                _ => break,
            }
        }
        old
    }

    /// Number of keys smaller than `key`.
    pub fn rank(&self, key: &str) -> usize {
        let mut node = &*self.root;
        let mut before = 0;
        loop {
            match node {
                Node::Leaf(entries) => return before + entries.partition_point(|e| *e.key < *key),
                Node::Inner(children) => {
                    let at = child_for(children, key);
                    before += children[..at].iter().map(|c| c.len).sum::<usize>();
                    node = &children[at].node;
                }
            }
        }
    }

    /// The entries in order of their keys, from the first key not smaller than `from`.
    pub fn iter_from(&self, from: &str) -> Iter<'_> {
        let mut iter = Iter { stack: Vec::with_capacity(4) };
        let mut node = &*self.root;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let at = entries.partition_point(|e| *e.key < *from);
                    iter.stack.push((node, at));
                    return iter;
                }
                Node::Inner(children) => {
                    let at = child_for(children, from);
                    iter.stack.push((node, at + 1));
                    node = &children[at].node;
                }
            }
        }
    }

    /// Builds a map from entries that are already in order, with full nodes.
    pub fn from_sorted(entries: Vec<Arc<Entry>>) -> Tree {
        debug_assert!(entries.is_sorted_by(|a, b| a.key < b.key));
        let mut level: Vec<Child> = chunked(entries).map(|chunk| Child::of(Node::Leaf(chunk))).collect();
        while level.len() > 1 {
            level = chunked(level).map(|chunk| Child::of(Node::Inner(chunk))).collect();
        }
        level.pop().map_or_else(Tree::default, |child| Tree { root: child.node })
    }
}

/// Cuts into pieces of nearly equal size, none over three quarters of a node: room for the inserts to come.
fn chunked<T>(items: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let full = WIDTH * 3 / 4;
    let pieces = items.len().div_ceil(full).max(1);
    let (size, longer) = (items.len() / pieces, items.len() % pieces);
    let mut items = items.into_iter();
    (0..pieces)
        .map(move |at| items.by_ref().take(size + usize::from(at < longer)).collect::<Vec<T>>())
        .filter(|piece| !piece.is_empty())
}

/// The child that holds `key` if any does.
fn child_for(children: &[Child], key: &str) -> usize {
    children.partition_point(|c| *c.low <= *key).saturating_sub(1)
}

impl Child {
    fn of(node: Node) -> Child {
        Child { low: node.low(), len: node.len(), node: Arc::new(node) }
    }
}

impl Node {
    fn len(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(children) => children.iter().map(|c| c.len).sum(),
        }
    }

    fn width(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(children) => children.len(),
        }
    }

    fn low(&self) -> Arc<str> {
        match self {
            Node::Leaf(entries) => entries.first().map_or_else(|| Arc::from(""), |e| e.key.clone()),
            Node::Inner(children) => children.first().map_or_else(|| Arc::from(""), |c| c.low.clone()),
        }
    }

    /// Inserts below; gives back the replaced entry and, if the node became too wide, its new right neighbour.
    fn insert(&mut self, entry: Arc<Entry>) -> (Option<Arc<Entry>>, Option<Child>) {
        match self {
            Node::Leaf(entries) => match entries.binary_search_by(|e| e.key.cmp(&entry.key)) {
                Ok(at) => (Some(std::mem::replace(&mut entries[at], entry)), None),
                Err(at) => {
                    // In ascending order of keys (names with a counter, bulk loads) full leaves stay full.
                    let cut = if at == entries.len() { WIDTH - 1 } else { WIDTH / 2 };
                    entries.insert(at, entry);
                    let split =
                        (entries.len() > WIDTH).then(|| Child::of(Node::Leaf(entries.split_off(cut))));
                    (None, split)
                }
            },
            Node::Inner(children) => {
                let at = child_for(children, &entry.key);
                let child = &mut children[at];
                if entry.key < child.low {
                    child.low = entry.key.clone();
                }
                let (old, split) = Arc::make_mut(&mut child.node).insert(entry);
                child.len += usize::from(old.is_none());
                if let Some(right) = split {
                    child.len -= right.len;
                    children.insert(at + 1, right);
                }
                let split = (children.len() > WIDTH)
                    .then(|| Child::of(Node::Inner(children.split_off(children.len() / 2))));
                (old, split)
            }
        }
    }

    fn remove(&mut self, key: &str) -> Option<Arc<Entry>> {
        match self {
            Node::Leaf(entries) => {
                let at = entries.binary_search_by(|e| (*e.key).cmp(key)).ok()?;
                Some(entries.remove(at))
            }
            Node::Inner(children) => {
                let at = child_for(children, key);
                let old = Arc::make_mut(&mut children[at].node).remove(key)?;
                children[at].len -= 1;
                if children[at].len == 0 {
                    children.remove(at);
                } else if children[at].node.width() < WIDTH / 4 {
                    merge(children, at);
                }
                Some(old)
            }
        }
    }
}

/// Joins the thin child with a neighbour where both fit into one node.
fn merge(children: &mut Vec<Child>, at: usize) {
    let fits = |a: usize, b: usize| children[a].node.width() + children[b].node.width() <= WIDTH * 3 / 4;
    let left = if at > 0 && fits(at - 1, at) {
        at - 1
    } else if at + 1 < children.len() && fits(at, at + 1) {
        at
    } else {
        return;
    };
    let right = children.remove(left + 1);
    let into = &mut children[left];
    into.len += right.len;
    match (Arc::make_mut(&mut into.node), &*right.node) {
        (Node::Leaf(a), Node::Leaf(b)) => a.extend(b.iter().cloned()),
        (Node::Inner(a), Node::Inner(b)) => a.extend(b.iter().cloned()),
        // Every leaf is at the same depth, so neighbours are of one sort.
        _ => debug_assert!(false, "neighbours of different depth"),
    }
}

/// Entries in order.
pub(crate) struct Iter<'a> {
    /// The path: each node with the position of what comes next in it.
    stack: Vec<(&'a Node, usize)>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Arc<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (node, at) = self.stack.last_mut()?;
            match node {
                Node::Leaf(entries) => {
                    if let Some(entry) = entries.get(*at) {
                        *at += 1;
                        return Some(entry);
                    }
                    self.stack.pop();
                }
                Node::Inner(children) => {
                    if let Some(child) = children.get(*at) {
                        *at += 1;
                        self.stack.push((&child.node, 0));
                    } else {
                        self.stack.pop();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
