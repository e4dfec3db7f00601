//! What HTML says of its elements.

/// The longest name in the tables below.
const LONGEST: usize = 10;

/// A name in lower case; longer ones than any known are all alike.
#[derive(Clone, Copy, Default)]
pub struct Word {
    bytes: [u8; LONGEST + 1],
    length: usize,
}

impl Word {
    pub fn of(first: u8) -> Self {
        let mut word = Self::default();
        word.push(first);
        word
    }

    pub fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte.to_ascii_lowercase();
            self.length += 1;
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Whether an element's content is text up to its end tag (13.2.6.2 and the insertion modes that use it).
pub fn has_raw_text(element: &[u8]) -> bool {
    matches!(
        element,
        b"script" | b"style" | b"textarea" | b"title" | b"iframe" | b"noembed" | b"noframes" | b"xmp"
    )
}

/// Whether an attribute of an element holds one URL (HTML's index of attributes, and HTML 4's for the obsolete).
pub fn is_link(element: &[u8], attribute: &[u8]) -> bool {
    match attribute {
        b"href" => matches!(element, b"a" | b"area" | b"base" | b"link"),
        b"src" => matches!(
            element,
            b"audio"
                | b"embed"
                | b"frame"
                | b"iframe"
                | b"img"
                | b"input"
                | b"script"
                | b"source"
                | b"track"
                | b"video"
        ),
        b"action" => element == b"form",
        b"formaction" => matches!(element, b"button" | b"input"),
        b"cite" => matches!(element, b"blockquote" | b"del" | b"ins" | b"q"),
        b"data" | b"classid" => element == b"object",
        b"codebase" => matches!(element, b"object" | b"applet"),
        b"poster" => element == b"video",
        b"background" => element == b"body",
        b"longdesc" => matches!(element, b"frame" | b"iframe" | b"img"),
        b"usemap" => matches!(element, b"img" | b"input" | b"object"),
        b"manifest" => element == b"html",
        b"profile" => element == b"head",
        b"icon" => element == b"command",
        _ => false,
    }
}
