//! What goes to the nodes of the service and comes back from them: the register folder with its
//! orders, and the evidence.

use std::path::PathBuf;

use crate::{Ceremony, Files, unchanged, write_once};
use record::layout::{EVIDENCE, REGISTER, evidence_name};
use record::service::{BRIEF_FILE, Brief, MAX_BRIEF, MAX_EVIDENCE, NodeEvidence};
use record::{Error, Event, Hash, Id, Result, Stage, folder, json_file};

impl Ceremony {
    /// Where the folder lies that is copied to every node.
    pub fn register_folder(&self) -> PathBuf {
        self.dir.join(REGISTER)
    }

    /// Builds the register folder under another name. It gets its own once the log names its brief.
    ///
    /// # Errors
    /// What writing files can end with.
    pub fn build_register(&self, files: &Files) -> Result<()> {
        let part = self.dir.join(format!(".{REGISTER}"));
        folder::erase(&part)?;
        folder::draft(&part, files.iter().map(|(name, bytes)| (name, bytes)))
    }

    /// What the nodes were told.
    ///
    /// # Errors
    /// `DOCUMENT-HASH` where it is not the one of the log.
    pub fn brief(&self) -> Result<Brief> {
        let path = self.register_folder().join(BRIEF_FILE);
        let bytes = folder::read_file(&path, MAX_BRIEF)?;
        unchanged(&path, Hash::of(&bytes), self.state.nodes.brief)?;
        serde_json::from_slice(&bytes).map_err(Error::defect)
    }

    /// Keeps a node's evidence as it came. The log names it afterwards.
    ///
    /// # Errors
    /// What writing files can end with.
    pub fn keep_evidence(&self, evidence: &NodeEvidence, bytes: &[u8]) -> Result<()> {
        let said = &evidence.statement;
        let path = self.evidence_path(&said.node, said.stage, evidence.hash);
        folder::make_folder(&self.dir.join(EVIDENCE))?;
        write_once(&path, bytes, MAX_EVIDENCE)
    }

    fn evidence_path(&self, node: &Id, stage: Stage, evidence: Hash) -> PathBuf {
        self.dir.join(EVIDENCE).join(evidence_name(node, stage, evidence))
    }

    /// The newest evidence of a stage of every node that gave any, in the plan's order: each with
    /// its bytes.
    ///
    /// # Errors
    /// `DOCUMENT-HASH` where one is not the one of the log, `EVIDENCE-FORMAT`.
    pub fn evidence(&self, stage: Stage) -> Result<Vec<(NodeEvidence, Vec<u8>)>> {
        let nodes = &self.state.nodes;
        let proved = nodes.proved(stage);
        let there = nodes.current().filter_map(|node| Some((node, proved.get(node)?)));
        there
            .map(|(node, hash)| {
                let bytes = self.kept_evidence(node, stage, *hash)?;
                let name = evidence_name(node, stage, *hash);
                Ok((NodeEvidence::parse(&bytes, &name)?, bytes))
            })
            .collect()
    }

    /// Every piece of evidence that the log names, by the name under which it is kept.
    ///
    /// # Errors
    /// `DOCUMENT-HASH` where one is not the one of the log.
    pub fn all_evidence(&self) -> Result<Files> {
        let mut all = self.state.nodes.all.clone();
        all.sort();
        all.dedup();
        let read = |(node, stage, hash): (Id, Stage, Hash)| {
            Ok((evidence_name(&node, stage, hash), self.kept_evidence(&node, stage, hash)?))
        };
        all.into_iter().map(read).collect()
    }

    /// A piece of evidence, as the log names it.
    fn kept_evidence(&self, node: &Id, stage: Stage, hash: Hash) -> Result<Vec<u8>> {
        let path = self.evidence_path(node, stage, hash);
        let bytes = folder::read_file(&path, MAX_EVIDENCE)?;
        unchanged(&path, Hash::of(&bytes), Some(hash))?;
        Ok(bytes)
    }

    /// Records what changes the nodes, and gives them their orders.
    ///
    /// # Errors
    /// As [`Ceremony::record`] and what writing files can end with; what then is missing, the next
    /// start writes.
    pub fn ordered(&mut self, result: Event) -> Result<()> {
        self.record(result)?;
        self.settle()
    }

    /// The register folder has its name once the log names it, and in it lies every order that
    /// follows from the log.
    pub(super) fn settle_nodes(&self) -> Result<()> {
        let nodes = &self.state.nodes;
        let Some(brief) = nodes.brief else {
            return Ok(());
        };
        let (part, to) = (self.dir.join(format!(".{REGISTER}")), self.register_folder());
        let built = folder::read_file(&part.join(BRIEF_FILE), MAX_BRIEF);
        if built.is_ok_and(|bytes| Hash::of(&bytes) == brief) {
            // Only a mirror that was cut off can hold a folder that its log does not name.
            folder::erase(&to)?;
            folder::publish(&part, &to)?;
        }
        for order in &nodes.orders {
            let path = to.join(order.file());
            if to.exists() && !path.exists() {
                folder::write_new(&path, &json_file(&order)?)?;
            }
        }
        Ok(())
    }
}
