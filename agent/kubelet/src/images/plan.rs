//! Which images go: those that nobody uses, the longest unused first. Pure.

use keelson_proto::cri::{Container, Image};
use std::collections::{HashMap, HashSet};

/// What is remembered of one image, in monotonic milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    /// 0 when it was never seen in use.
    last_used: u64,
    first: u64,
}

/// The images by id.
#[derive(Debug, Default)]
pub(super) struct History(HashMap<String, Seen>);

/// How full a disk may be, in percent: above `high` images go until it would be at `low`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    pub(crate) high: u64,
    pub(crate) low: u64,
}

/// Bytes that must go; 0 while the disk is not too full.
pub(super) fn bytes_to_free(capacity: u64, available: u64, thresholds: Thresholds) -> u64 {
    let share = |percent: u64| u128::from(capacity) * u128::from(percent.min(100)) / 100;
    let used = u128::from(capacity.saturating_sub(available));
    if capacity == 0 || used < share(thresholds.high) {
        return 0;
    }
    u64::try_from(used.saturating_sub(share(thresholds.low))).unwrap_or(u64::MAX)
}

/// Ids of the images that containers were made from, running or not, and those that must stay in any case.
pub(super) fn used(images: &[Image], containers: &[Container], sandbox_image: &str) -> HashSet<String> {
    let mut names: HashSet<&str> = HashSet::from([sandbox_image]);
    for container in containers {
        names.insert(&container.image_ref);
        names.extend(container.image.as_ref().map(|image| image.image.as_str()));
    }
    let is_used = |image: &&Image| {
        let known_by = image.repo_tags.iter().chain(&image.repo_digests).chain([&image.id]);
        image.pinned || known_by.into_iter().any(|name| names.contains(name.as_str()))
    };
    images.iter().filter(is_used).map(|image| image.id.clone()).collect()
}

impl History {
    /// Takes note of what is there and of what is used at `now`.
    pub(super) fn note(&mut self, images: &[Image], used: &HashSet<String>, now: u64) {
        self.0.retain(|id, _| images.iter().any(|image| image.id == *id));
        for image in images {
            let seen = self.0.entry(image.id.clone()).or_insert(Seen { last_used: 0, first: now });
            if used.contains(&image.id) {
                seen.last_used = now;
            }
        }
    }

    /// The images that may go, in their order. One that came a short while ago may be what a pod is about to use.
    pub(super) fn unused<'a>(
        &self,
        images: &'a [Image],
        used: &HashSet<String>,
        now: u64,
        age_ms_min: u64,
    ) -> Vec<&'a Image> {
        let mut found: Vec<(Seen, &Image)> = images
            .iter()
            .filter(|image| !used.contains(&image.id))
            .filter_map(|image| Some((*self.0.get(&image.id)?, image)))
            .filter(|(seen, _)| now.saturating_sub(seen.first) >= age_ms_min)
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.id.cmp(&b.1.id)));
        found.into_iter().map(|(_, image)| image).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keelson_proto::cri::ImageSpec;

    #[test]
    fn a_disk_is_too_full_from_its_high_mark_on() {
        let thresholds = Thresholds { high: 85, low: 80 };
        let check = |available: u64, expect: u64| {
            assert_eq!(bytes_to_free(1000, available, thresholds), expect, "{available}");
        };
        check(1000, 0);
        check(151, 0);
        check(150, 50);
        check(0, 200);
        // Reserved blocks can make more available than there is.
        check(2000, 0);
        assert_eq!(bytes_to_free(0, 0, thresholds), 0);
        assert_eq!(bytes_to_free(u64::MAX, 0, Thresholds { high: 100, low: 100 }), 0);
    }

    fn image(id: &str) -> Image {
        Image { id: id.to_owned(), repo_tags: vec![format!("{id}:tag")], ..Image::default() }
    }

    #[test]
    fn what_is_used_stays_by_whatever_name() {
        let mut images: Vec<Image> = ["a", "b", "c", "d", "pause", "pinned"].map(image).to_vec();
        images[5].pinned = true;
        let container = |name: &str, reference: &str| Container {
            image: Some(ImageSpec { image: name.to_owned(), ..ImageSpec::default() }),
            image_ref: reference.to_owned(),
            ..Container::default()
        };
        let used =
            used(&images, &[container("a:tag", ""), container("", "b"), container("x", "")], "pause:tag");
        let mut ids: Vec<_> = used.iter().map(String::as_str).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["a", "b", "pause", "pinned"]);
    }

    #[test]
    fn the_longest_unused_goes_first() {
        let images: Vec<Image> = ["a", "b", "c", "new"].map(image).to_vec();
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<HashSet<_>>();
        let mut history = History::default();
        history.note(&images[..3], &set(&["a", "b"]), 1000);
        history.note(&images[..3], &set(&["a"]), 2000);
        history.note(&images, &set(&[]), 3000);
        let check = |used: &[&str], now: u64, expect: &[&str]| {
            let found = history.unused(&images, &set(used), now, 2000);
            assert_eq!(found.iter().map(|i| i.id.as_str()).collect::<Vec<_>>(), expect);
        };
        check(&[], 3000, &["c", "b", "a"]);
        check(&["c"], 3000, &["b", "a"]);
        check(&[], 2999, &[]);
        check(&[], 5000, &["c", "new", "b", "a"]);
        // Gone and back again: a new image.
        history.note(&images[..1], &set(&[]), 6000);
        history.note(&images, &set(&[]), 7000);
        let found = history.unused(&images, &set(&[]), 8000, 2000);
        assert_eq!(found.iter().map(|i| i.id.as_str()).collect::<Vec<_>>(), ["a"]);
    }
}
