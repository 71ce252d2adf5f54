//! What a package says of its shares: enough to know one, nothing to open it.

use std::path::Path;

use crate::encoding::hash;
use crate::{Hash, PackageId, Program, Result, Rule, fingerprint, strict_json};

/// The greatest size of a share or identity file, in bytes.
pub const MAX_SHARE_FILE: u64 = 64 << 10;

/// The length of a code, in bytes and so in PGP words.
pub const CODE_WORDS: usize = 10;

/// What a package says of a share: enough to know it, nothing to open it.
#[strict_json]
pub struct ShareListing {
    /// Who holds it.
    pub custodian: String,
    /// Which it is, from 1.
    pub x: u8,
    /// `H("keyferry/1 share", package_id, x, salt, y)`.
    pub commitment: Hash,
    /// `H("keyferry/1 confirm", package_id, x, code)`.
    pub confirm: Hash,
    /// SHA-256 of its age file.
    pub file: Hash,
}

impl ShareListing {
    /// These are the bytes that were dealt, as they lie at a path.
    ///
    /// # Errors
    /// `SHARE-FILE`.
    pub fn dealt(&self, bytes: &[u8], path: &Path) -> Result<()> {
        let found = Hash::of(bytes);
        Rule::ShareFile.ensure(
            found == self.file,
            format!("{} has SHA-256 {found}", path.display()),
            format!("the file that was dealt, {}", self.file),
            "find an unchanged copy of the outbox; without one the export must be done again",
        )
    }

    /// Whether these are the words that the custodian's own program shows for this share; `name` is
    /// what people call them.
    ///
    /// # Errors
    /// `SHARE-CODE`.
    pub fn confirm(&self, package_id: &PackageId, typed: &str, name: &str) -> Result<()> {
        let typed: Vec<String> = typed.split_whitespace().map(str::to_owned).collect();
        let code = fingerprint::bytes(&typed).filter(|code| code.len() == CODE_WORDS);
        Rule::ShareCode.ensure(
            code.is_some_and(|code| confirm_hash(package_id, self.x, &code) == self.confirm),
            format!("other words than those of {name}'s share"),
            format!("the {CODE_WORDS} words that `{}` shows for it", Program::Custodian.line("share check FILE --identity IDENTITY")),
            format!("check that it is the file of this export, and type the words again; if they differ again, `{}`", Program::Tenant.line("share reissue CUSTODIAN --to FILE").with("CUSTODIAN", &self.custodian)),
        )
    }
}

/// What a package lists so that a code can be checked without the share.
pub fn confirm_hash(package_id: &PackageId, x: u8, code: &[u8]) -> Hash {
    hash(c"keyferry/1 confirm", &[&package_id.0, &u32::from(x).to_be_bytes(), code])
}
