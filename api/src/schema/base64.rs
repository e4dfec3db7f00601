//! Base64 as Go's standard decoder takes it: padding wanted, line breaks skipped, loose last bits accepted.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// The canonical form where it differs from `text`. The error is the offset that Go names.
pub(super) fn canonical(text: &str) -> Result<Option<String>, usize> {
    check(text.as_bytes())?;
    let broken = text.bytes().any(|b| matches!(b, b'\r' | b'\n'));
    // Only a last group with padding can have loose bits.
    if !broken && !text.ends_with('=') {
        return Ok(None);
    }
    let plain: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    let bytes = LENIENT.decode(&plain).map_err(|_| text.len())?;
    let canonical = LENIENT.encode(bytes);
    Ok((canonical != text).then_some(canonical))
}

fn in_alphabet(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

fn skip_breaks(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Walks groups of four; the error is the offset of the first byte that does not fit.
fn check(text: &[u8]) -> Result<(), usize> {
    let mut at = 0;
    loop {
        let mut place = 0;
        while place < 4 {
            at = skip_breaks(text, at);
            match text.get(at) {
                None if place == 0 => return Ok(()),
                None => return Err(at - place),
                Some(b) if in_alphabet(*b) => {
                    at += 1;
                    place += 1;
                }
                Some(b'=') if place >= 2 => return check_padding(text, at + 1, place),
                Some(_) => return Err(at),
            }
        }
    }
}

/// The rest of the text after the first `=`, which stood at `place` of its group.
fn check_padding(text: &[u8], mut at: usize, place: usize) -> Result<(), usize> {
    if place == 2 {
        at = skip_breaks(text, at);
        match text.get(at) {
            None => return Err(text.len()),
            Some(b'=') => at += 1,
            Some(_) => return Err(at),
        }
    }
    at = skip_breaks(text, at);
    if at < text.len() { Err(at) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_names_the_same_offsets() {
        for (text, wanted) in [
            ("", Ok(None)),
            ("YQ==", Ok(None)),
            ("YWI=", Ok(None)),
            ("YWJj", Ok(None)),
            ("YW\nJj\r\n", Ok(Some("YWJj"))),
            ("YR==", Ok(Some("YQ=="))),
            ("not base64!", Err(3)),
            ("YQ=", Err(3)),
            ("YQ", Err(0)),
            ("YWJjYQ", Err(4)),
            ("Y===", Err(1)),
            ("YQ==x", Err(4)),
            ("YQ=x", Err(3)),
            ("=", Err(0)),
        ] {
            assert_eq!(canonical(text), wanted.map(|w: Option<&str>| w.map(str::to_owned)), "{text:?}");
        }
    }
}
