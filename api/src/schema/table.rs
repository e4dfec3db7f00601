//! The table itself: read once from `types.txt`, then immutable.

use std::collections::HashMap;
use std::sync::LazyLock;

static SOURCE: &str = include_str!("types.txt");

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(SOURCE));

/// The schema table of this version of Kubernetes.
pub fn table() -> &'static Table {
    &TABLE
}

/// The place of a type in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeId(u16);

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    String,
    Int32,
    Int64,
    Double,
    Bool,
    /// Base64.
    Bytes,
    /// RFC 3339, whole seconds.
    Time,
    /// RFC 3339, microseconds.
    MicroTime,
    Quantity,
    IntOrString,
    /// Anything.
    Raw,
    /// The field set of a manager: any object.
    Fields,
    Object(TypeId),
    List(Box<Shape>),
    Map(Box<Shape>),
}

/// How lists and maps merge in server-side apply.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ListType {
    /// Not said: lists are atomic, maps granular.
    #[default]
    Unset,
    Atomic,
    Set,
    /// By these fields of its items.
    Map(Vec<&'static str>),
}

/// How a field merges in a strategic merge patch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PatchStrategy {
    /// Lists merge instead of being replaced.
    pub merge: bool,
    /// The key by which lists of objects merge.
    pub key: Option<&'static str>,
    /// Only the fields that the patch lists in `$retainKeys` survive.
    pub retain_keys: bool,
}

/// A field of a type.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub shape: Shape,
    /// The published schema requires it.
    pub required: bool,
    /// Go tells its zero from its absence.
    pub pointer: bool,
    /// Go writes it even when it is empty or absent.
    pub always: bool,
    pub list: ListType,
    pub patch: PatchStrategy,
    /// The values that the published schema names.
    pub values: Vec<&'static str>,
    /// The default that the published schema states.
    pub default: Option<&'static str>,
    /// The name of its type, or of its items' type, in Go, where that is a named one.
    pub go: Option<&'static str>,
}

/// Group, version and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupVersionKind {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
}

/// A type with fields.
#[derive(Debug)]
pub struct Type {
    /// As published, such as `io.k8s.api.core.v1.Pod`.
    pub name: String,
    /// Sorted by name.
    pub fields: Vec<Field>,
    /// Server-side apply takes it as a whole.
    pub atomic: bool,
    /// The kinds that it is.
    pub kinds: Vec<GroupVersionKind>,
    /// It is part of every group and version.
    pub in_every_group: bool,
}

impl Type {
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.binary_search_by(|field| field.name.cmp(name)).ok().map(|i| &self.fields[i])
    }

    /// `Pod`
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }

    /// `v1.Pod`, as Go's messages name it.
    pub fn go_name(&self) -> &str {
        let dot = self.name.rmatch_indices('.').nth(1).map_or(0, |(i, _)| i + 1);
        &self.name[dot..]
    }
}

/// All types.
#[derive(Debug)]
pub struct Table {
    types: Vec<Type>,
    by_name: HashMap<String, TypeId, rapidhash::fast::RandomState>,
    /// `Shape::Object` of each type, for who walks by shape.
    shapes: Vec<Shape>,
}

impl Table {
    /// The type published as `name`.
    pub fn find(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    /// The type published as `name`, as a shape.
    pub fn shape_of(&self, name: &str) -> Option<&Shape> {
        self.find(name).map(|id| &self.shapes[usize::from(id.0)])
    }

    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[usize::from(id.0)]
    }

    pub fn types(&self) -> impl Iterator<Item = &Type> {
        self.types.iter()
    }

    /// Whether `kind` is one of `group`/`version`.
    pub fn has_kind(&self, group: &str, version: &str, kind: &str) -> bool {
        let here = |k: &GroupVersionKind| k.group == group && k.version == version && k.kind == kind;
        self.types.iter().any(|t| t.kinds.iter().any(here) || (t.in_every_group && t.short_name() == kind))
    }

    /// Reads the file's form. The file is part of the program and held by tests, so a fault in it is a fault
    /// of the program.
    fn read(source: &'static str) -> Self {
        let mut packages = HashMap::new();
        let mut names = Vec::new();
        for line in source.lines() {
            let mut words = line.split(' ');
            match words.next() {
                Some("package") => {
                    packages.insert(words.next().unwrap_or_default(), words.next().unwrap_or_default());
                }
                Some("type") => names.push(words.next().unwrap_or_default()),
                _ => {}
            }
        }
        let ids: HashMap<&str, TypeId> = names.iter().zip(0..).map(|(name, i)| (*name, TypeId(i))).collect();
        let mut types: Vec<Type> = Vec::with_capacity(names.len());
        for line in source.lines() {
            if let Some(header) = line.strip_prefix("type ") {
                types.push(read_type(header, &packages));
            } else if let (Some(field), Some(owner)) = (line.strip_prefix("  "), types.last_mut()) {
                owner.fields.push(read_field(field, &ids));
            }
        }
        let by_name = types.iter().zip(0..).map(|(t, i)| (t.name.clone(), TypeId(i))).collect();
        let shapes = (0..).take(types.len()).map(|i| Shape::Object(TypeId(i))).collect();
        Self { types, by_name, shapes }
    }
}

fn read_type(header: &'static str, packages: &HashMap<&str, &str>) -> Type {
    let mut words = header.split(' ');
    let (package, short) = words.next().and_then(|name| name.split_once('.')).unwrap_or_default();
    let name = format!("{}.{short}", packages.get(package).copied().unwrap_or_default());
    let mut kind = Type { name, fields: Vec::new(), atomic: false, kinds: Vec::new(), in_every_group: false };
    while let Some(word) = words.next() {
        match word {
            "atomic" => kind.atomic = true,
            "kind" => {
                let parts: Vec<&str> = words.next().unwrap_or_default().split('/').collect();
                match parts[..] {
                    [group, version, name] => {
                        kind.kinds.push(GroupVersionKind { group, version, kind: name });
                    }
                    _ => kind.in_every_group = true,
                }
            }
            _ => {}
        }
    }
    kind
}

fn read_field(line: &'static str, ids: &HashMap<&str, TypeId>) -> Field {
    let mut words = line.split(' ');
    let name = words.next().unwrap_or_default();
    let mut field = Field {
        name,
        shape: read_shape(words.next().unwrap_or_default(), ids),
        required: false,
        pointer: false,
        always: false,
        list: ListType::Unset,
        patch: PatchStrategy::default(),
        values: Vec::new(),
        default: None,
        go: None,
    };
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("required", _) => field.required = true,
            ("pointer", _) => field.pointer = true,
            ("always", _) => field.always = true,
            ("atomic", _) => field.list = ListType::Atomic,
            ("set", _) => field.list = ListType::Set,
            ("map", keys) => field.list = ListType::Map(keys.split(',').collect()),
            ("merge", key) => {
                field.patch.merge = true;
                field.patch.key = Some(key).filter(|key| !key.is_empty());
            }
            ("retainKeys", _) => field.patch.retain_keys = true,
            ("enum", values) => field.values = values.split(',').collect(),
            ("default", value) => field.default = Some(value),
            ("go", name) => field.go = Some(name),
            _ => {}
        }
    }
    field
}

fn read_shape(text: &str, ids: &HashMap<&str, TypeId>) -> Shape {
    if let Some(item) = text.strip_prefix("[]") {
        return Shape::List(Box::new(read_shape(item, ids)));
    }
    if let Some(item) = text.strip_prefix("map:") {
        return Shape::Map(Box::new(read_shape(item, ids)));
    }
    match text {
        "string" => Shape::String,
        "int32" => Shape::Int32,
        "int64" => Shape::Int64,
        "double" => Shape::Double,
        "bool" => Shape::Bool,
        "bytes" => Shape::Bytes,
        "time" => Shape::Time,
        "microtime" => Shape::MicroTime,
        "quantity" => Shape::Quantity,
        "intorstring" => Shape::IntOrString,
        "fields" => Shape::Fields,
        _ => ids.get(text).map_or(Shape::Raw, |id| Shape::Object(*id)),
    }
}
