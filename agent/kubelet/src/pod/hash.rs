//! The hash of a container's definition, kept as an annotation on the container.

use super::spec::ContainerSpec;

/// 64-bit FNV-1a of what a running container cannot change without a restart: name and image. It is stored
/// with the container, so its value must never change between versions.
pub fn definition_hash(container: &ContainerSpec) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in container.name.bytes().chain([0]).chain(container.image.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    format!("{hash:x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_stable() {
        let container = ContainerSpec { name: "a".into(), image: "b:1".into(), ..ContainerSpec::default() };
        assert_eq!(definition_hash(&container), "3f1ffcfc842120ab");
    }
}
