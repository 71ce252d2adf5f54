//! Commands that need a token and no ceremony: `probe` before there is one, `node prove` on a host
//! that has none.

use std::{path::Path, process::ExitCode};

use crate::Common;
use ceremony::{
    hoster::prove::{self, NodeProve},
    side::probe,
    step,
};
use record::terms::{Mode, Side};
use terminal::{fail, tell};

impl Common {
    /// Probes the token, before there is a plan.
    pub(super) fn probe(&self, side: Side, file: &Path, rehearsal: bool) -> ExitCode {
        let mode = if rehearsal { Mode::Rehearsal } else { Mode::Production };
        let made = (self.token.choice()).and_then(|choice| probe::probe(side, &choice, mode, file));
        match made.and_then(|report| self.print(&report)) {
            Ok(()) => {
                tell(&format!(
                    "next: officers sign it with `ceremony-scripts/sign`, then keyferry-audit plan check PLAN --probe {} --probe THE-OTHER-SIDE'S",
                    file.display()
                ));
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        }
    }

    /// Makes a node's evidence. There is no ceremony on that host, only the copy of the register
    /// folder.
    pub fn node_prove(&self, node: &NodeProve) -> ExitCode {
        let registry = step::registry(self.registry.as_deref(), &self.dir);
        let made = self.token.choice();
        let made = made.and_then(|choice| prove::prove(node, &registry, &choice));
        match made.and_then(|report| self.print(&report)) {
            Ok(()) => {
                tell(
                    "next: carry the file to the hoster's machine\n  keyferry-hoster evidence add FILE",
                );
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        }
    }
}
