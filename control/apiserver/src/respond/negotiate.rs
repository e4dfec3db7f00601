//! Which form of an object a client wants, from its Accept header. The first media type that can be served
//! wins; weights are not looked at, as the order that clients write says the same.

use keelson_api::status::Status;

/// The encodings that replies have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Json,
    Yaml,
}

/// What an object is turned into before it is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transform {
    #[default]
    None,
    Table,
    /// PartialObjectMetadata, or the list of them.
    Metadata,
}

/// A reply's form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    pub format: Format,
    pub transform: Transform,
}

impl Accept {
    /// Whether the stored bytes can be sent as they are.
    pub fn plain(self) -> bool {
        self == Accept::default()
    }
}

/// The refusal when nothing that the client accepts can be served.
pub fn not_acceptable() -> Status {
    let mut status = Status::new(
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json, application/yaml",
    );
    status.details = Some(Box::default());
    status
}

/// The form that the header asks for; `lists` when the reply is a list (which has other names for its forms).
pub fn negotiate(header: Option<&str>, lists: bool) -> Result<Accept, Status> {
    let header = match header {
        None | Some("" | "*/*" | "application/json") => return Ok(Accept::default()),
        Some(header) => header,
    };
    header.split(',').find_map(|clause| accept(clause, lists)).ok_or_else(not_acceptable)
}

/// The form that the header asks for of a kind that has no other forms than its own.
pub fn negotiate_plain(header: Option<&str>) -> Result<Accept, Status> {
    let plain = |clause| accept(clause, false).filter(|accept| accept.transform == Transform::None);
    match header {
        None | Some("") => Ok(Accept::default()),
        Some(header) => header.split(',').find_map(plain).ok_or_else(not_acceptable),
    }
}

fn accept(clause: &str, lists: bool) -> Option<Accept> {
    let mut parts = clause.split(';').map(str::trim);
    let format = match parts.next()? {
        "*/*" | "application/*" | "application/json" => Format::Json,
        "application/yaml" => Format::Yaml,
        _ => return None,
    };
    let (mut target, mut group, mut version) = ("", "", "");
    for parameter in parts {
        match parameter.split_once('=') {
            Some(("as", value)) => target = value,
            Some(("g", value)) => group = value,
            Some(("v", value)) => version = value,
            _ => {}
        }
    }
    let transform = match (target, group, version) {
        ("", _, _) => Transform::None,
        ("Table", "meta.k8s.io", "v1") => Transform::Table,
        ("PartialObjectMetadataList", "meta.k8s.io", "v1") if lists => Transform::Metadata,
        ("PartialObjectMetadata", "meta.k8s.io", "v1") => Transform::Metadata,
        _ => return None,
    };
    Some(Accept { format, transform })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, want: Option<(Format, Transform)>) {
        let got = negotiate(Some(header), true).ok().map(|a| (a.format, a.transform));
        assert_eq!(got, want, "{header}");
    }

    #[test]
    fn forms() {
        check("", Some((Format::Json, Transform::None)));
        check("application/vnd.kubernetes.protobuf", None);
        check("application/vnd.kubernetes.protobuf,application/json", Some((Format::Json, Transform::None)));
        check("application/yaml", Some((Format::Yaml, Transform::None)));
        check(
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            Some((Format::Json, Transform::Table)),
        );
        check("application/json;as=Table;v=v9;g=meta.k8s.io", None);
        check(
            "application/json;as=Table;v=v9;g=meta.k8s.io,application/json",
            Some((Format::Json, Transform::None)),
        );
        check(
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
            Some((Format::Json, Transform::Metadata)),
        );
        check("text/html, */*;q=0.8", Some((Format::Json, Transform::None)));
    }

    #[test]
    fn plain_forms() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        for (header, want) in [
            (None, Some(Format::Json)),
            (Some(""), Some(Format::Json)),
            (Some("application/yaml"), Some(Format::Yaml)),
            (Some(table), None),
            (Some(&*format!("{table},application/json")), Some(Format::Json)),
            (Some("*/*"), Some(Format::Json)),
        ] {
            assert_eq!(negotiate_plain(header).ok().map(|accept| accept.format), want, "{header:?}");
        }
    }
}
