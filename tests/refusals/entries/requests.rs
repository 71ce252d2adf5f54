//! Every field of every request, changed, signed anew by the same officers, and approved by a log
//! that is made to fit; or as one more request, which no log approves.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::{Amount, distinct};
use crate::common::{
    changes::{Own, Tried, changes},
    stage::Stage,
};
use record::{
    encoding::Hash,
    flow::{State, subjects::recompute},
    log::{Entry, Event},
    signature::Signed,
    terms::Gate,
    verify::counterpart::VerifiedLog,
};

/// The signature of a person, as `ssh-keygen` writes it.
pub fn signature(stage: &Stage, id: &str, namespace: &str, bytes: &[u8]) -> String {
    let key = fs::read_to_string(stage.path(&format!("people/{id}"))).unwrap();
    let key = PrivateKey::from_openssh(key).unwrap();
    key.sign(namespace, HashAlg::Sha512, bytes).unwrap().to_pem(LineEnding::LF).unwrap()
}

/// An approval of a log, and the request that it is of.
struct Approved<'a> {
    stage: &'a Stage,
    own: &'a Own,
    at: usize,
    gate: Gate,
    signed: &'a [Signed],
    file: PathBuf,
}

/// Changes the requests that a side's log approves.
pub fn changed(stage: &Stage, own: &Own, folder: &Path, amount: Amount, tried: &mut Tried) {
    let log = VerifiedLog::of(&own.record.plan, own.side, own.entries.clone()).unwrap();
    let mut at = 0;
    log.walk(|state, entry| {
        if let Event::Approval { gate, request, signatures, .. } = &entry.event {
            let files = fs::read_dir(folder.join("approvals")).unwrap();
            let mut files = files.map(|file| file.unwrap().path());
            let file = files.find(|file| Hash::of(&fs::read(file).unwrap()) == *request).unwrap();
            let approved =
                Approved { stage, own, at, gate: *gate, signed: signatures.as_slice(), file };
            approved.changed(state, amount, tried);
        }
        at += 1;
        Ok(())
    })
    .unwrap();
}

impl Approved<'_> {
    fn changed(&self, state: &State, amount: Amount, tried: &mut Tried) {
        let before = self.files();
        let request: Value = serde_json::from_slice(&before[0].1).unwrap();
        self.one("unchanged", &request, state, tried);
        assert!(tried.taken.remove("unchanged"), "{}: {:?}", self.file.display(), tried.by_rule);
        let is_read = |request: &Value| {
            let bytes = serde_json::to_vec(request).unwrap();
            recompute(&bytes, self.gate, &self.own.record.plan, Some(state)).is_ok()
        };
        let mut all = Vec::new();
        for (path, mut request) in distinct(changes(&request), amount, is_read) {
            let what = format!("request {}{path}", self.gate.name());
            all.push((what.clone(), request.clone()));
            // The sentence that officers read is the one of the subject that was changed.
            let bytes = serde_json::to_vec(&request).unwrap();
            let again = recompute(&bytes, self.gate, &self.own.record.plan, Some(state));
            if let Ok(Some(again)) = again
                && path.starts_with(".subject")
            {
                request["summary"] = again.expected["summary"].clone();
                all.push((what, request));
            }
        }
        all.iter().for_each(|(what, request)| self.one(what, request, state, tried));
        for (path, bytes) in before {
            fs::write(path, bytes).unwrap();
        }
        self.one_more("request unchanged", &request, tried);
        all.iter().for_each(|(what, request)| self.one_more(what, request, tried));
    }

    /// The request, and the signatures that the log names.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let signatures = self.signed.iter().map(|one| signature_file(&self.file, one));
        let all = std::iter::once(self.file.clone()).chain(signatures);
        all.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
    }

    /// Writes a request, signed anew by the same officers.
    fn write(&self, file: &Path, bytes: &[u8]) -> Vec<Signed> {
        fs::write(file, bytes).unwrap();
        let sign = |one: &Signed| {
            let made = signature(self.stage, one.id.as_str(), "keyferry-approval", bytes);
            fs::write(signature_file(file, one), &made).unwrap();
            Signed { id: one.id.clone(), signature: Hash::of(made.as_bytes()) }
        };
        self.signed.iter().map(sign).collect()
    }

    /// The same as the next request of its gate, which no entry approves.
    fn one_more(&self, what: &str, request: &Value, tried: &mut Tried) {
        let end = format!("-{}.json", self.gate.name());
        let folder = self.file.parent().unwrap();
        let names = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        let asked = names.filter(|name| name.to_string_lossy().ends_with(&end)).count();
        let next = folder.join(format!("{:02}{end}", asked + 1));
        self.write(&next, &serde_json::to_vec_pretty(request).unwrap());
        tried.one(&format!("one more {what}"), self.own.hold(self.own.entries.clone()));
        self.signed.iter().for_each(|one| fs::remove_file(signature_file(&next, one)).unwrap());
        fs::remove_file(next).unwrap();
    }

    fn one(&self, what: &str, request: &Value, state: &State, tried: &mut Tried) {
        let bytes = serde_json::to_vec_pretty(request).unwrap();
        let signatures = self.write(&self.file, &bytes);
        let mut entries: Vec<Entry> = self.own.entries.clone();
        let Event::Approval { subject, .. } = entries[self.at].event else { panic!() };
        let again = recompute(&bytes, self.gate, &self.own.record.plan, Some(state));
        let subject = again.ok().flatten().map_or(subject, |again| again.subject);
        let (gate, request) = (self.gate, Hash::of(&bytes));
        entries[self.at].event = Event::Approval { gate, subject, request, signatures };
        tried.one(what, self.own.hold(entries));
    }
}

fn signature_file(request: &Path, signed: &Signed) -> PathBuf {
    format!("{}.{}.sig", request.display(), signed.id).into()
}
