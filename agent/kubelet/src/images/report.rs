//! Images as a node's status lists them. Pure.

use keelson_proto::cri::Image;
use serde_json::{Value, json};

/// Kubernetes' limits: a status is written often and read by many.
const IMAGES_MAX: usize = 50;
const NAMES_MAX: usize = 5;

/// The largest images first.
pub fn report(mut images: Vec<Image>) -> Value {
    images.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.id.cmp(&b.id)));
    let items = images.into_iter().take(IMAGES_MAX).map(|image| {
        let names: Vec<String> =
            image.repo_digests.into_iter().chain(image.repo_tags).take(NAMES_MAX).collect();
        json!({"names": names, "sizeBytes": image.size})
    });
    items.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_first_and_not_too_many() {
        let image = |n: u64| Image {
            id: format!("sha256:{n}"),
            size: n,
            repo_tags: (0..n).map(|t| format!("x:{t}")).collect(),
            repo_digests: vec!["x@sha256:1".to_owned()],
            ..Image::default()
        };
        let listed = report((0..60).map(image).collect());
        let list = listed.as_array().unwrap();
        assert_eq!((list.len(), &list[0]["sizeBytes"]), (50, &json!(59)));
        assert_eq!(list[0]["names"], json!(["x@sha256:1", "x:0", "x:1", "x:2", "x:3"]));
        assert_eq!(report(vec![image(1)]), json!([{"names": ["x@sha256:1", "x:0"], "sizeBytes": 1}]));
    }
}
