//! Small files of the record: the head of a closed log, the registry of the local target, the
//! signature of a person.

use super::{Page, Source, end, parsed};
use crate::{
    Result,
    document::FORMAT,
    escape::escape,
    phase::name,
    side::archive::ClosedHead,
    signature::{self, MAX_SIGNATURE, Namespace, SignatureFile},
    target::local::Registry,
};

/// Explains `head.json`.
pub fn head(source: &Source) -> Result<Page> {
    let head: ClosedHead = parsed(source, "the head of a closed log")?;
    if head.format != FORMAT {
        return Err(source.broken("the head of a closed log", format!("format {:?}", head.format)));
    }
    let mut page = Page::new(
        "This is the head of a closed log: how many entries it has, and the hash of the last.",
    );
    page.value("ceremony", &head.ceremony)
        .value("side", format!("the {}'s log", head.side))
        .plan(&head.plan_hash)
        .value("entries", head.count)
        .value("head", head.head)
        .line("    its words, to compare with the paper record:")
        .words(&head.head);
    page.signing(
        source,
        Namespace::Head,
        &format!(
            "You attest that the {}'s log of this ceremony ended with this entry. Nothing can be added, changed or cut off unnoticed after that.",
            head.side
        ),
        &[],
    );
    end(&mut page, source, "keyferry-audit verify ARCHIVE --expect-head HASH");
    Ok(page)
}

/// Explains `registry.json`.
pub fn registry(source: &Source) -> Result<Page> {
    let registry = Registry::parse(source.path, &source.bytes)?;
    let mut page = Page::new(
        "This is the registry of the hoster's service: every set of keys ever registered, and which is primary. Nobody signs it; \
         what nodes prove says which keys they found primary in it.",
    );
    match registry.primary() {
        Some(primary) => page.value("primary", format!("the keys of plan {primary}")),
        None => page.value("primary", "none"),
    };
    for set in registry.key_sets() {
        let primary = registry.primary() == Some(set.plan_hash);
        page.title(&format!(
            "KEYS OF THE CEREMONY {}{}",
            set.ceremony,
            if primary { ": PRIMARY" } else { "" }
        ));
        page.value("plan", set.plan_hash);
        if let Some(former) = set.former {
            page.value("before it", format!("the keys of plan {former} were primary"));
        }
        for key in &set.keys {
            page.line(format!("  key {}, {}", key.label, name(&key.role)))
                .line(format!("    in the HSM: label {}, id {}", key.hoster_label, key.id))
                .line(format!("    public key (SHA-256): {}", key.spki))
                .line(format!("    certificate (SHA-1 thumbprint): {}", key.thumbprint));
        }
    }
    end(&mut page, source, "each node proves which keys are primary: keyferry-hoster node prove");
    Ok(page)
}

/// Explains a signature file.
pub fn signature(start: &Source) -> Result<Page> {
    let source = Source::whole(start.path, MAX_SIGNATURE)?;
    let named = source.name();
    let (file, signer) = match named.strip_suffix(".sig").and_then(|name| name.rsplit_once('.')) {
        Some((file, signer)) => (file.to_owned(), escape(signer)),
        None => (String::new(), escape(&named)),
    };
    let described = signature::describe(&SignatureFile {
        signer: signer.clone(),
        bytes: source.bytes.clone(),
    })?;
    let mut page = Page::new(
        "This is a person's signature (OpenSSH). It was not verified here: that needs the signed file and the plan.",
    );
    if !file.is_empty() {
        page.value("named after", format!("{signer}, over {file}; a file's name proves nothing"));
    }
    page.value("namespace", &described.namespace)
        .line(format!("    {}", purpose(&described.namespace)))
        .value("algorithm", &described.algorithm)
        .value("key", &described.fingerprint)
        .line(format!("    {}", described.openssh))
        .line("    whose it is, the plan says");
    match described.touched {
        Some(true) => page.value("touched", "it says that its holder touched the FIDO2 key"),
        Some(false) => page.value("touched", "NO: made without a touch; Keyferry refuses it"),
        None => page.value("touched", "no FIDO2 key: nothing says that somebody touched it"),
    };
    let verify = "ssh-keygen -Y verify -f allowed_signers -I ID -n NAMESPACE -s FILE.ID.sig < FILE, with the plan's \
         allowed_signers (an archive has it); or keyferry-audit verify FOLDER";
    end(&mut page, &source, verify);
    Ok(page)
}

/// What a signature of a namespace means.
fn purpose(namespace: &str) -> &'static str {
    let purposes = [
        (Namespace::Plan, "its signer agrees to a plan"),
        (Namespace::Approval, "its signer approves an act before it is done"),
        (Namespace::Document, "its signer releases a document to the other side"),
        (Namespace::Head, "its signer attests how a log ended"),
        (Namespace::Probe, "its signer vouches for the report of a token"),
    ];
    purposes
        .iter()
        .find(|(of, _)| of.name() == namespace)
        .map_or("NOT A PURPOSE OF KEYFERRY: it counts for nothing in a ceremony", |(_, purpose)| {
            purpose
        })
}
