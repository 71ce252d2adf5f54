//! What a node of Windows Host Guardian Service publishes: which certificates it says are primary.

use super::{Page, Source, end};
use crate::{
    Result,
    target::metadata::{Certificate, Metadata},
};

/// Explains a metadata file.
pub fn show(source: &Source) -> Result<Page> {
    let metadata = Metadata::parse(&source.bytes, &source.path.display().to_string())?;
    let mut page = Page::new(
        "This is metadata of a Key Protection Service: what a node of Windows Host Guardian Service publishes of its certificates.",
    );
    page.value("version", metadata.version).value("of its part", metadata.guardian_version);
    page.title("WHAT IT SAYS");
    certificate(&mut page, "signing", &metadata.signing);
    certificate(&mut page, "encryption", &metadata.encryption);
    page.line("    those are the primary ones: new shielded VMs are protected for them");
    for other in &metadata.other_signing {
        certificate(&mut page, "also signing", other);
    }
    for remark in metadata.remarks() {
        page.line(format!("  {remark}"));
    }
    page.title("WHAT IT PROVES")
        .line("  That somebody wrote these certificates into this file. Not who, not when, not which node sent it, and not that the service")
        .line("  can use the keys. Compare both thumbprints, character by character, with those of the ceremony's record.");
    let verify = "keyferry-audit verify FOLDER, of a ceremony whose acceptance carries this file";
    end(&mut page, source, verify);
    Ok(page)
}

fn certificate(page: &mut Page, what: &str, der: &[u8]) {
    let named = Certificate::of(der);
    page.value(what, format!("{} {}", named.thumbprint, named.subject));
}
