use super::*;
use proptest::prelude::*;

fn links() -> Links {
    Links::new("/proxy", "10.0.0.1:80", false, Some("api:6443"))
}

/// A page in the pieces in which it came.
fn rewrite<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut rewriter = Rewriter::new(Vec::new(), links());
    for piece in pieces {
        rewriter.write_all(piece).unwrap();
    }
    String::from_utf8_lossy(&rewriter.finish().unwrap()).into_owned()
}

#[test]
fn pages() {
    let check = |page: &str, want: &str| {
        assert_eq!(rewrite([page.as_bytes()]), want, "{page}");
        assert_eq!(rewrite(page.as_bytes().chunks(1)), want, "{page}, byte by byte");
    };
    for (page, want) in [
        // Ways to write a link.
        (r#"<a href="/x">t</a>"#, r#"<a href="/proxy/x">t</a>"#),
        ("<a href='/x'>t</a>", "<a href='/proxy/x'>t</a>"),
        ("<a href=/x>t</a>", "<a href=/proxy/x>t</a>"),
        ("<a href=/>t</a>", "<a href=/proxy/>t</a>"),
        ("<A\nclass=b\tHREF = \"/x\" id>t", "<A\nclass=b\tHREF = \"/proxy/x\" id>t"),
        ("<a id href='/x'>t", "<a id href='/proxy/x'>t"),
        ("<a/href='/x'/>", "<a/href='/proxy/x'/>"),
        ("<a b='>'href='/x'>", "<a b='>'href='/proxy/x'>"),
        ("<a href=\"\n /x \">", "<a href=\"\n /proxy/x \">"),
        ("<a href='/x?a=1&amp;b=\"'>", "<a href='/proxy/x?a=1&amp;b=\"'>"),
        ("<a href='/x' href='/y'>", "<a href='/proxy/x' href='/proxy/y'>"),
        (
            "<img src='/a'><img src='/b'/><img src='/c' />",
            "<img src='/proxy/a'><img src='/proxy/b'/><img src='/proxy/c' />",
        ),
        // Which links.
        ("<script src='http://10.0.0.1:80/x.js'></script>", "<script src='/proxy/x.js'></script>"),
        ("<a href=http://api:6443/x>", "<a href=http://api:6443/proxy/x>"),
        ("<base href='/'>", "<base href='/proxy/'>"),
        (
            "<form action='/f'><button formaction='/g'>",
            "<form action='/proxy/f'><button formaction='/proxy/g'>",
        ),
        (
            "<video poster='/p' src='/v'><source src='/s'>",
            "<video poster='/proxy/p' src='/proxy/v'><source src='/proxy/s'>",
        ),
        (
            "<blockquote cite='/c'><body background='/b'>",
            "<blockquote cite='/proxy/c'><body background='/proxy/b'>",
        ),
        // Elements whose content is text end all the same.
        ("<title><a href='/x'></title><a href='/y'>", "<title><a href='/x'></title><a href='/proxy/y'>"),
        ("<script>'<a href=/x>'</script ><a href=/y>", "<script>'<a href=/x>'</script ><a href=/proxy/y>"),
        (
            "<style></styl></ style><</STYLE/><a href=/y>",
            "<style></styl></ style><</STYLE/><a href=/proxy/y>",
        ),
        (
            "<textarea></textarea2></textarea><a href=/y>",
            "<textarea></textarea2></textarea><a href=/proxy/y>",
        ),
        ("<title/><a href='/x'></title>", "<title/><a href='/x'></title>"),
        // Comments and other marks.
        ("<!DOCTYPE html><a href=/x>", "<!DOCTYPE html><a href=/proxy/x>"),
        ("<!--<a href=/x>--><a href=/y>", "<!--<a href=/x>--><a href=/proxy/y>"),
        ("<!--><a href=/y>", "<!--><a href=/proxy/y>"),
        ("<!---><a href=/y>", "<!---><a href=/proxy/y>"),
        ("<!--->--><a href=/y>", "<!--->--><a href=/proxy/y>"),
        ("<!--!><a href=/x>--!><a href=/y>", "<!--!><a href=/x>--!><a href=/proxy/y>"),
        ("<!-- -- ><a href=/x> --- --><a href=/y>", "<!-- -- ><a href=/x> --- --><a href=/proxy/y>"),
        ("<!-- ---><a href=/y>", "<!-- ---><a href=/proxy/y>"),
        ("<!-x><a href=/y>", "<!-x><a href=/proxy/y>"),
        ("<?xml <a href=/x ><a href=/y>", "<?xml <a href=/x ><a href=/proxy/y>"),
        ("</ <a href=/x ></><a href=/y>", "</ <a href=/x ></><a href=/proxy/y>"),
        // Text that looks like a tag.
        ("1 < 2 <<a href=/y>", "1 < 2 <<a href=/proxy/y>"),
        ("<3 href='/x'", "<3 href='/x'"),
        // Left alone.
        ("<a href=''><a href><a href=><a =href='/x'>", "<a href=''><a href><a href=><a =href='/x'>"),
        (
            "<a href='x'><a href='#y'><a href='//example.com/'>",
            "<a href='x'><a href='#y'><a href='//example.com/'>",
        ),
        ("<a href='/proxy/x'>", "<a href='/proxy/x'>"),
        ("<p href='/x'><a src='/x'><abbr href='/x'>", "<p href='/x'><a src='/x'><abbr href='/x'>"),
        ("</a href='/x'><a hrefhrefhref='/x'>", "</a href='/x'><a hrefhrefhref='/x'>"),
        (
            "<blockquotes cite='/x'><button formactions='/x'>",
            "<blockquotes cite='/x'><button formactions='/x'>",
        ),
        ("<a data-href='/x' href2='/x'>", "<a data-href='/x' href2='/x'>"),
        ("<plaintext></plaintext><a href='/x'>", "<plaintext></plaintext><a href='/x'>"),
        // Cut off.
        ("<a href='/x", "<a href='/proxy/x"),
        ("<a href='", "<a href='"),
        ("<a href=\"/x>t</a>", "<a href=\"/proxy/x>t</a>"),
    ] {
        check(page, want);
    }
    let long = "x".repeat(100_000);
    check(&format!("<a href='/{long}'>{long}"), &format!("<a href='/proxy/{long}'>{long}"));
    check(&format!("<{long} {long}={long}><a href=/x>"), &format!("<{long} {long}={long}><a href=/proxy/x>"));
}

/// However long a page or a part of it is.
#[test]
fn little_is_held_back() {
    let mut rewriter = Rewriter::new(Vec::new(), links());
    let mut written = 0;
    for piece in ["<a href='", "/", "x", "<!--", "<", "/"].iter().cycle().take(1000) {
        let piece = piece.repeat(200);
        rewriter.write_all(piece.as_bytes()).unwrap();
        written += piece.len();
        assert!(rewriter.get_mut().len() + 64 >= written);
        assert!(rewriter.head.capacity() <= 128);
    }
}

proptest! {
    /// Pieces do not matter, and a page is what it was when the proxy's path is taken out again.
    #[test]
    fn nothing_else_changes(
        parts in prop::collection::vec(prop::sample::select(&[
            "<", "a", "<a ", "href", "=", "'", "\"", "/", ">", " ", "-", "!", "<!--", "-->", "<script", "</script", "src",
            "http://10.0.0.1:81", "é", "x",
        ][..]), 0..60),
        at in prop::collection::vec(0usize..200, 0..4),
    ) {
        let page = parts.concat();
        let whole = rewrite([page.as_bytes()]);
        prop_assert_eq!(whole.replace("/proxy", ""), page.clone());
        let mut cuts: Vec<usize> = at.into_iter().map(|at| at.min(page.len())).collect();
        cuts.sort_unstable();
        let mut rest = page.as_bytes();
        let mut pieces = Vec::new();
        for cut in cuts {
            let (piece, after) = rest.split_at(cut - (page.len() - rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        prop_assert_eq!(rewrite(pieces), whole);
    }

    #[test]
    fn never_panics(page in prop::collection::vec(any::<u8>(), 0..300)) {
        rewrite([page.as_slice()]);
    }
}
