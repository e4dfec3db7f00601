//! Pages on their way through: attributes that hold a link to the backend get the proxy's path put in. Every other
//! byte passes as it came, in whatever coding of characters in which ASCII is ASCII, well-formed or not; so nothing
//! is lost where a page is misread. Held back is only the beginning of a link.
//!
//! Reads the tags of HTML (WHATWG, 13.2.5), without what depends on the tree: in `svg`, and in scripts with both a
//! comment and a script within, text may be taken for a tag or a tag for text. Links in styles, scripts, `srcset`
//! and `meta` are left alone, as in Kubernetes, and so is one whose first bytes are character references.

mod tables;

use super::link::Links;
use std::io::{self, Write};
use tables::Word;

/// Writes a page to `W`, with its links changed.
pub struct Rewriter<W> {
    out: W,
    links: Links,
    head_max: usize,
    state: State,
    /// The tag being read, or the element whose text is.
    tag: Word,
    closing: bool,
    attribute: Word,
    /// The first bytes of a link.
    head: Vec<u8>,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// Behind `<`.
    Open,
    /// Behind `</`.
    Close,
    /// Behind `<!`, and one dash if there is one.
    Mark {
        dash: bool,
    },
    Comment(Comment),
    /// Something up to `>`.
    Bogus,
    TagName,
    /// Before an attribute's name.
    Between,
    Name,
    AfterName,
    BeforeValue,
    Value(Quote),
    /// A value that is a link, as long as it is not known what becomes of it.
    Link(Quote),
    /// The text of an element without elements.
    Raw,
    /// Behind `<` there.
    RawOpen,
    /// Behind `</` and so many letters of the element's name.
    RawClose(usize),
    /// Text to the end.
    Plain,
}

/// What the end of a comment has begun with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comment {
    /// Behind `<!--`, where `>` is an end.
    Start,
    StartDash,
    Inside,
    Dash,
    Dashes,
    /// Behind `--!`.
    Bang,
}

/// What ends a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    Is(u8),
    None,
}

impl Quote {
    fn ends_at(self, byte: u8) -> bool {
        match self {
            Quote::Is(quote) => byte == quote,
            Quote::None => byte == b'>' || is_space(byte),
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

impl<W: Write> Rewriter<W> {
    pub fn new(out: W, links: Links) -> Self {
        let links = links.in_html();
        let head_max = links.head_max();
        let (tag, attribute) = (Word::default(), Word::default());
        Self { out, head_max, links, state: State::Text, tag, closing: false, attribute, head: Vec::new() }
    }

    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Hands on what was held back.
    pub fn finish(mut self) -> io::Result<W> {
        self.settle()?;
        Ok(self.out)
    }

    /// Writes the gathered beginning of a link, changed if it has to be.
    fn settle(&mut self) -> io::Result<()> {
        if self.head.is_empty() {
            return Ok(());
        }
        match self.links.through(&self.head) {
            Some(changed) => self.out.write_all(&changed)?,
            None => self.out.write_all(&self.head)?,
        }
        self.head.clear();
        Ok(())
    }

    /// The state behind a byte that is part of no link.
    fn step(&mut self, byte: u8) -> State {
        match (self.state, byte) {
            (State::Text, b'<') => State::Open,
            (State::Text, _) => State::Text,

            (State::Open, b'!') => State::Mark { dash: false },
            (State::Open, b'/') => State::Close,
            (State::Open, b'?') => State::Bogus,
            (State::Open, b'<') => State::Open,
            (State::Open, _) if byte.is_ascii_alphabetic() => self.tag(byte, false),
            (State::Open, _) => State::Text,

            (State::Close, b'>') => State::Text,
            (State::Close, _) if byte.is_ascii_alphabetic() => self.tag(byte, true),
            (State::Close, _) => State::Bogus,

            (State::Mark { dash: false }, b'-') => State::Mark { dash: true },
            (State::Mark { dash: true }, b'-') => State::Comment(Comment::Start),
            (State::Mark { .. } | State::Bogus, b'>') => State::Text,
            (State::Mark { .. } | State::Bogus, _) => State::Bogus,
            (State::Comment(comment), _) => comment.step(byte),

            (State::TagName | State::Between | State::Name | State::AfterName, b'>') => self.tag_ends(),
            (State::TagName | State::Name | State::AfterName, b'/') => State::Between,
            (State::TagName, _) if is_space(byte) => State::Between,
            (State::TagName, _) => {
                self.tag.push(byte);
                State::TagName
            }
            (State::Between, b'/') => State::Between,
            (State::Name | State::AfterName, b'=') => State::BeforeValue,
            (State::Name, _) if is_space(byte) => State::AfterName,
            (State::Name, _) => {
                self.attribute.push(byte);
                State::Name
            }
            (State::Between | State::AfterName, _) if is_space(byte) => self.state,
            (State::Between | State::AfterName, _) => {
                self.attribute = Word::of(byte);
                State::Name
            }
            (State::BeforeValue, b'>') => self.tag_ends(),
            (State::BeforeValue, b'"' | b'\'') => self.value(Quote::Is(byte)),
            (State::BeforeValue, _) => State::BeforeValue,
            (State::Value(quote) | State::Link(quote), _) if !quote.ends_at(byte) => self.state,
            (State::Value(_) | State::Link(_), b'>') => self.tag_ends(),
            (State::Value(_) | State::Link(_), _) => State::Between,

            (State::Raw | State::RawOpen, b'<') => State::RawOpen,
            (State::RawOpen, b'/') => State::RawClose(0),
            (State::Raw | State::RawOpen, _) => State::Raw,
            (State::RawClose(letters), _) => self.raw_close(letters, byte),
            (State::Plain, _) => State::Plain,
        }
    }

    fn tag(&mut self, first: u8, closing: bool) -> State {
        self.tag = Word::of(first);
        self.closing = closing;
        State::TagName
    }

    fn tag_ends(&self) -> State {
        match self.tag.bytes() {
            _ if self.closing => State::Text,
            b"plaintext" => State::Plain,
            name if tables::has_raw_text(name) => State::Raw,
            _ => State::Text,
        }
    }

    fn value(&self, quote: Quote) -> State {
        let link = !self.closing && tables::is_link(self.tag.bytes(), self.attribute.bytes());
        if link { State::Link(quote) } else { State::Value(quote) }
    }

    fn raw_close(&mut self, letters: usize, byte: u8) -> State {
        match self.tag.bytes().get(letters) {
            Some(letter) if byte.eq_ignore_ascii_case(letter) => return State::RawClose(letters + 1),
            None if byte == b'>' => return State::Text,
            None if byte == b'/' || is_space(byte) => {
                self.closing = true;
                return State::Between;
            }
            _ => {}
        }
        if byte == b'<' { State::RawOpen } else { State::Raw }
    }

    /// How many of the bytes leave the state as it is.
    fn skip(&self, bytes: &[u8]) -> usize {
        let until = |wanted: u8| bytes.iter().position(|byte| *byte == wanted).unwrap_or(bytes.len());
        match self.state {
            State::Text | State::Raw => until(b'<'),
            State::Bogus => until(b'>'),
            State::Value(Quote::Is(quote)) => until(quote),
            State::Plain => bytes.len(),
            _ => 0,
        }
    }
}

impl Comment {
    fn step(self, byte: u8) -> State {
        State::Comment(match (self, byte) {
            (Comment::Start | Comment::StartDash | Comment::Dashes | Comment::Bang, b'>') => {
                return State::Text;
            }
            (Comment::Start, b'-') => Comment::StartDash,
            (Comment::StartDash | Comment::Dash | Comment::Dashes, b'-') => Comment::Dashes,
            (Comment::Inside | Comment::Bang, b'-') => Comment::Dash,
            (Comment::Dashes, b'!') => Comment::Bang,
            _ => Comment::Inside,
        })
    }
}

impl<W: Write> Write for Rewriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // What is before `at` and not before `from` passes as it is, and is yet to be written.
        let (mut from, mut at) = (0, 0);
        while at < bytes.len() {
            at += self.skip(&bytes[at..]);
            let Some(&byte) = bytes.get(at) else { break };
            if self.state == State::BeforeValue && !is_space(byte) && !matches!(byte, b'"' | b'\'' | b'>') {
                self.state = self.value(Quote::None);
            }
            if let State::Link(quote) = self.state
                && !quote.ends_at(byte)
            {
                // Space before a link is none of it.
                if !self.head.is_empty() || !is_space(byte) {
                    self.out.write_all(&bytes[from..at])?;
                    from = at + 1;
                    self.head.push(byte);
                }
                if self.head.len() >= self.head_max {
                    self.settle()?;
                    self.state = State::Value(quote);
                }
            } else {
                self.settle()?;
                self.state = self.step(byte);
            }
            at += 1;
        }
        self.out.write_all(&bytes[from..])?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
