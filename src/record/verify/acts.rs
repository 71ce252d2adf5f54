//! What was done at a gate is what officers signed for: the log's entry, and the documents that it
//! names.

use crate::{
    encoding::Hash,
    escape::json,
    gate::{
        Abort, CloudExport, Export, Import, ImportPlain, KekDestroy, KeysDestroy, Restart,
        SourceDestroy,
    },
    log::Event,
    plan::Plan,
    terms::{Fits, Id, Kind, differs, list},
    verify::{counterpart::VerifiedLog, documents::Documents},
};

/// What officers signed for, as far as a document can be held against it.
pub enum RequestedAct {
    /// Which keys leave, and for whom.
    Export(Export),
    CloudExport(CloudExport),
    Import(Import),
    ImportPlain(ImportPlain),
    KekDestroy(KekDestroy),
    KeysDestroy(KeysDestroy),
    SourceDestroy(SourceDestroy),
    Restart(Restart),
    Abort(Abort),
    /// What the log alone says all of.
    Other,
}

impl RequestedAct {
    /// Whether an entry of this log is the act that was approved. Documents that are not there say
    /// nothing.
    ///
    /// # Errors
    /// What was done and what was signed for.
    pub fn fits(
        &self,
        event: &Event,
        plan: &Plan,
        log: &VerifiedLog,
        documents: &Documents,
    ) -> Fits {
        Act { plan, log, documents }.fits(event, self)
    }
}

struct Act<'a> {
    plan: &'a Plan,
    log: &'a VerifiedLog,
    documents: &'a Documents,
}

impl Act<'_> {
    fn fits(&self, event: &Event, asked: &RequestedAct) -> Fits {
        match (event, asked) {
            (Event::Export { document, fingerprint, .. }, RequestedAct::Export(asked)) => {
                same("KEK", fingerprint, &asked.kek_fingerprint)?;
                self.export(*document, asked)
            }
            (Event::CloudExport(done), RequestedAct::CloudExport(asked)) => {
                same("service", &done.format, &asked.format)?;
                same("KEK", &done.fingerprint, &asked.kek_fingerprint)?;
                let done = done.files.iter().map(|file| &file.label).collect::<Vec<_>>();
                same("keys", &done, &asked.keys.iter().map(|key| &key.label).collect())?;
                let ours = self.log.state.keys.iter();
                let ours = ours.map(|key| (&key.label, key.spki, key.certificate));
                let signed = asked.keys.iter();
                let signed = signed.map(|key| (&key.label, key.spki, key.certificate));
                same("keys", &ours.collect::<Vec<_>>(), &signed.collect())
            }
            (Event::ImportPlain(done), RequestedAct::ImportPlain(asked)) => {
                same("KEK", &done.fingerprint, &asked.kek_fingerprint)?;
                let done = done.keys.iter().zip(&done.wrapped);
                let done =
                    done.map(|(key, wrapped)| (&key.label, key.spki, key.certificate, *wrapped));
                let signed = asked.keys.iter();
                let signed = signed.map(|key| (&key.label, key.spki, key.certificate, key.wrapped));
                same("keys", &done.collect::<Vec<_>>(), &signed.collect())
            }
            (Event::Import { document, .. }, RequestedAct::Import(asked)) => {
                let Some(receipt) = self.documents.receipt.by_hash(*document) else {
                    return Ok(());
                };
                let answers = receipt.document.header.answers;
                same("package", &answers, &Some(asked.package))?;
                match self.documents.package.by_hash(asked.package) {
                    Some(package) => {
                        let kek = package.body().kek_fingerprint;
                        same("KEK", &kek, &asked.kek_fingerprint)
                    }
                    None => Ok(()),
                }
            }
            (
                Event::KekDestroy { acceptance, fingerprint, keys, .. },
                RequestedAct::KekDestroy(asked),
            ) => {
                same("KEK", fingerprint, &asked.kek_fingerprint)?;
                same("acceptance", acceptance, &asked.acceptance)?;
                let abort = self.log.state.aborted.map(|head| head.hash);
                let abort = abort.filter(|_| acceptance.is_none());
                same("abort", &abort, &asked.abort)?;
                ended(keys, asked.keys.iter())
            }
            (Event::KeysDestroy { keys, .. }, RequestedAct::KeysDestroy(asked)) => {
                let abort = self.log.state.aborted.map(|head| head.hash);
                same("abort", &abort, &Some(asked.abort))?;
                ended(keys, asked.keys.iter())
            }
            (Event::SourceDestroy(done), RequestedAct::SourceDestroy(asked)) => {
                same("closing", &done.closing, &asked.closing)?;
                same("backup", &done.backup, &asked.backup)?;
                let accepted = self.log.state.made.get(&Kind::Acceptance);
                let accepted = accepted.map(|made| made.hash);
                same("acceptance", &accepted, &Some(asked.acceptance))?;
                let signed = asked.keys.iter().map(|key| (&key.label, key.spki));
                let ours = self.log.state.keys.iter();
                let ours = ours.map(|key| (&key.label, key.spki));
                same("keys", &ours.collect::<Vec<_>>(), &signed.collect())?;
                ended(&done.keys, asked.keys.iter().map(|key| &key.label))
            }
            (Event::Restart { attempt, reason }, RequestedAct::Restart(asked)) => {
                same("attempt", attempt, &(asked.attempt + 1))?;
                same("reason", reason, &asked.reason)
            }
            (Event::Abort { reason, .. }, RequestedAct::Abort(asked)) => {
                same("reason", reason, &asked.reason)
            }
            _ => Ok(()),
        }
    }

    fn export(&self, package: Hash, asked: &Export) -> Fits {
        let Some(package) = self.documents.package.by_hash(package) else {
            return Ok(());
        };
        let (header, body) = (&package.document.header, package.body());
        same("offer", &header.answers, &Some(asked.offer))?;
        same("KEK", &body.kek_fingerprint, &asked.kek_fingerprint)?;
        same("mechanism", &body.mechanism, &asked.mechanism)?;
        same("OAEP hash", &body.oaep_hash, &asked.oaep_hash)?;
        same("threshold", &body.threshold, &asked.threshold)?;
        let done =
            body.keys.iter().map(|key| (&key.label, Hash::of(&key.spki.0), key.certificate.hash));
        let signed = asked.keys.iter().map(|key| (&key.label, key.spki, key.certificate));
        same("keys", &done.collect::<Vec<_>>(), &signed.collect())?;
        let dealt = self.plan.quorum.custodians.iter();
        let dealt = dealt.map(|one| (&one.id, &one.recipients));
        let signed = asked.custodians.iter().map(|one| (&one.id, &one.recipients));
        same("custodians", &dealt.collect::<Vec<_>>(), &signed.collect())
    }
}

fn same<T: PartialEq + serde::Serialize>(what: &str, done: &T, signed: &T) -> Fits {
    if done == signed {
        return Ok(());
    }
    differs(format!("{what} {}", json(done)), format!("{what} {}", json(signed)))
}

/// No key has ended but those of which officers have signed the end.
fn ended<'a>(keys: &[Id], signed: impl Iterator<Item = &'a Id> + Clone) -> Fits {
    match keys.iter().find(|key| !signed.clone().any(|one| one == *key)) {
        Some(key) => differs(format!("the end of {key}"), list(signed)),
        None => Ok(()),
    }
}
