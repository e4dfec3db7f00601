//! The Swagger 2.0 document in its protobuf form (gnostic's OpenAPIv2 messages), which kubectl before 1.30 asks
//! for. Only what such clients read: the definitions, with the extensions that steer their merges. The numbers
//! are those of the published message types.

use serde_json::Value;

/// The media type of the form.
pub const MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// Its older name, which clients still ask for although no media type may be called so.
pub const OLD_MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// A message that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn bytes(&mut self, number: usize, bytes: &[u8]) {
        self.varint(number << 3 | 2);
        self.varint(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, number: usize, value: &Value) {
        if let Some(text) = value.as_str() {
            self.bytes(number, text.as_bytes());
        }
    }

    fn boolean(&mut self, number: usize, value: bool) {
        self.varint(number << 3);
        self.varint(usize::from(value));
    }

    fn message(&mut self, number: usize, message: &Message) {
        self.bytes(number, &message.0);
    }
}

/// The document of `swagger`, a Swagger 2.0 document in JSON.
pub fn encode(swagger: &Value) -> Vec<u8> {
    let mut document = Message::default();
    document.text(1, &swagger["swagger"]);
    let mut info = Message::default();
    info.text(1, &swagger["info"]["title"]);
    info.text(2, &swagger["info"]["version"]);
    document.message(2, &info);
    document.message(8, &Message::default());
    let mut definitions = Message::default();
    named_schemas(&mut definitions, &swagger["definitions"]);
    document.message(9, &definitions);
    document.0
}

/// Field 1, repeated: names with their schemas.
fn named_schemas(out: &mut Message, schemas: &Value) {
    for (name, value) in schemas.as_object().into_iter().flatten() {
        let mut named = Message::default();
        named.bytes(1, name.as_bytes());
        named.message(2, &schema(value));
        out.message(1, &named);
    }
}

fn schema(value: &Value) -> Message {
    let mut out = Message::default();
    out.text(1, &value["$ref"]);
    out.text(2, &value["format"]);
    out.text(4, &value["description"]);
    for name in value["required"].as_array().into_iter().flatten() {
        out.text(19, name);
    }
    match &value["additionalProperties"] {
        Value::Object(_) => {
            let mut item = Message::default();
            item.message(1, &schema(&value["additionalProperties"]));
            out.message(21, &item);
        }
        Value::Bool(allowed) => {
            let mut item = Message::default();
            item.boolean(2, *allowed);
            out.message(21, &item);
        }
        _ => {}
    }
    if value["type"].is_string() {
        let mut item = Message::default();
        item.text(1, &value["type"]);
        out.message(22, &item);
    }
    if value["items"].is_object() {
        let mut item = Message::default();
        item.message(1, &schema(&value["items"]));
        out.message(23, &item);
    }
    if value["properties"].is_object() {
        let mut properties = Message::default();
        named_schemas(&mut properties, &value["properties"]);
        out.message(25, &properties);
    }
    for (name, extension) in
        value.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("x-"))
    {
        // Extensions are YAML texts; JSON is one.
        let (mut named, mut any) = (Message::default(), Message::default());
        any.bytes(2, extension.to_string().as_bytes());
        named.bytes(1, name.as_bytes());
        named.message(2, &any);
        out.message(31, &named);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers() {
        let swagger = json!({"swagger": "2.0", "info": {"title": "K", "version": "v1"},
            "definitions": {"T": {"type": "object", "x-k": "v", "properties": {"a": {"$ref": "#/U"}}}}});
        let reference = [&[0x0a, 3][..], b"#/U"].concat();
        let property = [&[0x0a, 1][..], b"a", &[0x12, 5], &reference].concat();
        let properties = [&[0x0a, 10][..], &property].concat();
        let kind = [&[0x0a, 6][..], b"object"].concat();
        let extension = [&[0x0a, 3][..], b"x-k", &[0x12, 5, 0x12, 3], b"\"v\""].concat();
        let schema =
            [&[0xb2, 1, 8][..], &kind, &[0xca, 1, 12], &properties, &[0xfa, 1, 12], &extension].concat();
        let named = [&[0x0a, 1][..], b"T", &[0x12, 41], &schema].concat();
        let definitions = [&[0x0a, 46][..], &named].concat();
        let info = [&[0x0a, 1][..], b"K", &[0x12, 2], b"v1"].concat();
        let want = [&[0x0a, 3][..], b"2.0", &[0x12, 7], &info, &[0x42, 0, 0x4a, 48], &definitions].concat();
        assert_eq!(encode(&swagger), want);
    }
}
