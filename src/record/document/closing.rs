//! `closing`: what the hoster's HSM held for this ceremony only is gone. The last document; carries
//! the hoster's log.

use crate::document::{Body, Header, check_kek};
use crate::terms::{MAX_TEXT, ensure};
use crate::{Fits, Hash, Kind, LOG_FILE, Listed, Originals, Plan, TokenIdentity, strict_json};

/// What was destroyed.
#[strict_json]
pub struct Closing {
    /// The KEK whose two halves are no longer found on the token; keys that were born at the hoster
    /// had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kek_fingerprint: Option<Hash>,
    /// The token that was looked at, where one was: a claim of the module, and silent about backups
    /// and clones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenIdentity>,
    /// Where the plan destroys the tenant's originals: how the hoster has backed the keys up, in
    /// its own words, 1 to 4096 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// The hoster's log, up to the intent of this step.
    pub log: Listed,
}

impl Closing {
    /// What the step that makes a closing determines of it: the KEK that it destroyed, if any, and
    /// whether it looked at a token. After the tenant's acceptance, keys that were born at the
    /// hoster leave nothing to look for.
    ///
    /// # Errors
    /// What it says, and what it has to.
    pub fn follows(&self, kek: Option<Hash>, accepted: bool) -> Fits {
        let said = |said: (Option<Hash>, bool)| match said {
            (Some(kek), true) => format!("a closing of the KEK {kek} and a token"),
            (Some(kek), false) => format!("a closing of the KEK {kek} and no token"),
            (None, true) => "a closing of no KEK and a token".to_owned(),
            (None, false) => "a closing of no KEK and no token".to_owned(),
        };
        let found = (self.kek_fingerprint, self.token.is_some());
        let expected = (kek, kek.is_some() || !accepted);
        ensure(found == expected, said(found), said(expected))
    }
}

impl Body for Closing {
    const KIND: Kind = Kind::Closing;

    fn files(&self) -> Vec<(String, Listed)> {
        vec![(LOG_FILE.to_owned(), self.log.clone())]
    }

    fn check(&self, _: &Header, plan: &Plan) -> Fits {
        if let Some(backup) = &self.backup {
            let fits = !backup.trim().is_empty() && backup.len() <= MAX_TEXT;
            let found = format!("{} bytes about backups", backup.len());
            let expected = "1 to 4096, and only where the plan destroys the originals";
            ensure(fits && plan.source != Originals::Keep, found, expected)?;
        }
        check_kek(self.kek_fingerprint, plan)?;
        let looked = self.kek_fingerprint.is_none() || self.token.is_some();
        ensure(looked, "a KEK and no token", "both")
    }
}
