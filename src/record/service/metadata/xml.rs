//! XML from strangers: no DTD, and nothing in it that would cost
//! more than its size.

use roxmltree::{Document, Node, ParsingOptions};

/// The most elements, texts, comments and instructions together; a file of the service has a few
/// dozen.
const MAX_NODES: u32 = 4096;
/// The most equals signs. Every attribute and namespace has one, and the parser compares each with
/// each: without a limit a file of 1 MiB keeps it busy for half a minute. Base64 has at most two
/// per value, so some 400 certificates fit.
const MAX_EQUALS: usize = 1024;
/// How much of a foreign name is shown, in characters.
const SHOWN: usize = 100;

/// Parses a text. A DTD is refused, and with it every entity but those of XML itself.
pub fn parse(text: &str) -> Result<Document<'_>, String> {
    let equals = text.bytes().filter(|byte| *byte == b'=').count();
    if equals > MAX_EQUALS {
        return Err(format!("{equals} equals signs; at most {MAX_EQUALS} are read"));
    }
    let options =
        ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(text, options)
        .map_err(|error| short(&format!("not XML that is read here: {error}")))
}

/// How many elements have this name, in any namespace.
pub fn count(xml: &Document, name: &str) -> usize {
    let all = xml.descendants().filter(Node::is_element);
    all.filter(|node| node.tag_name().name() == name).count()
}

/// The elements in an element that holds nothing else but white space and comments.
pub fn elements<'a, 'x>(node: Node<'a, 'x>) -> Result<Vec<Node<'a, 'x>>, String> {
    let texts = node.children().filter(Node::is_text);
    let mut texts = texts.filter_map(|node| node.text());
    if texts.any(|text| !text.chars().all(is_space)) {
        return Err(format!("text between the elements of {}", named(node)));
    }
    Ok(node.children().filter(Node::is_element).collect())
}

/// The text of an element that holds text alone. A comment is refused: some readers would see only
/// what stands before it.
pub fn text(node: Node) -> Result<String, String> {
    node.children()
        .map(|child| match child.text().filter(|_| child.is_text()) {
            Some(text) => Ok(text),
            None => Err(format!("something other than text in {}", named(node))),
        })
        .collect()
}

/// The bytes of an element that holds base64, with white space anywhere (XML Schema, 3.2.16).
pub fn bytes(node: Node) -> Result<Vec<u8>, String> {
    let mut base64 = text(node)?;
    base64.retain(|character| !is_space(character));
    data_encoding::BASE64
        .decode(base64.as_bytes())
        .map_err(|_| format!("{} is not base64", named(node)))
}

/// An xs:unsignedInt.
pub fn number(text: Option<&str>, what: &str) -> Result<u32, String> {
    let text = text.map(|text| text.trim_matches(is_space));
    let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
    text.filter(digits)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("{what} is no number"))
}

/// An element by its name, and by its namespace where it is not the service's.
pub fn named(node: Node) -> String {
    let name = short(node.tag_name().name());
    match node.tag_name().namespace() {
        Some(crate::service::metadata::NAMESPACE) => name,
        Some(other) => format!("{name} of the namespace {}", short(other)),
        None => format!("{name} of no namespace"),
    }
}

/// White space of XML 1.0 (2.3).
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
