//! What an exported document says about where it comes from: two members of ours at its beginning,
//! which never go to a server.

use super::node::{Document, Member, Node};

const SERVER: &str = "exportedFrom";
/// Objects of the cmdlets that get a collection carry it as well.
pub const FINGERPRINT: &str = "fingerprint";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Address of the server. Absent in documents of any other making.
    pub server: Option<String>,
    /// Of the document the server had then (see `fingerprint`).
    pub fingerprint: Option<String>,
}

/// The document without its origin, and the origin.
pub fn without_origin(document: &Document) -> (Document, Origin) {
    let text = |name: &str| document.root().get(name).and_then(Node::text).map(String::from);
    let origin = Origin { server: text(SERVER), fingerprint: text(FINGERPRINT) };
    let mut plain = document.clone();
    if let Node::Object(members) = plain.root_mut() {
        members.retain(|member| member.name != SERVER && member.name != FINGERPRINT);
    }
    (plain, origin)
}

/// The document with its origin in front, where a reader looks first.
pub fn with_origin(document: &Document, origin: &Origin) -> Document {
    let (mut marked, _) = without_origin(document);
    if let Node::Object(members) = marked.root_mut() {
        let parts = [(SERVER, &origin.server), (FINGERPRINT, &origin.fingerprint)];
        let member = |(name, value): (&str, &Option<String>)| Some(Member::new(name, Node::string(value.as_ref()?)));
        members.splice(0..0, parts.into_iter().filter_map(member));
    }
    marked
}
