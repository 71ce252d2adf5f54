//! Steps behind a gate: officers are asked first, before any PIN.

use std::process::ExitCode;

use crate::Common;
use ceremony::{
    Ceremony,
    approval::Approved,
    hoster::remains,
    side::{abort, restart, token::with_token},
    tenant::trust,
};
use hsm::Hsm;
use record::{
    Result,
    terms::{Side, Step},
};
use terminal::{Asker, report::Report};

impl Common {
    /// Runs one step behind a gate: officers are asked first, then the HSM.
    pub fn gated_step<S>(
        &self,
        side: Side,
        step: Step,
        ask: impl FnOnce(&mut Ceremony) -> Result<Approved<S>>,
        act: impl FnOnce(&mut Ceremony, &Hsm, &Asker, &Approved<S>) -> Result<Report>,
    ) -> ExitCode {
        self.step(
            side,
            Box::new(|ceremony, asker| {
                let choice = self.token_choice()?;
                let approved = ask(ceremony)?;
                with_token(ceremony, step, &choice, asker, |ceremony, hsm| {
                    act(ceremony, hsm, asker, &approved)
                })
            }),
        )
    }

    /// Runs one step behind a gate that needs no HSM: what it touches is the service.
    pub fn gated<S>(
        &self,
        side: Side,
        ask: impl FnOnce(&mut Ceremony) -> Result<Approved<S>>,
        act: impl FnOnce(&mut Ceremony, &Approved<S>) -> Result<Report>,
    ) -> ExitCode {
        self.step(
            side,
            Box::new(|ceremony, _| {
                let approved = ask(ceremony)?;
                act(ceremony, &approved)
            }),
        )
    }

    /// Begins the next attempt. The hoster's last one has left keys in its HSM; the tenant's has
    /// not.
    pub(super) fn restart(&self, side: Side, reason: &str) -> ExitCode {
        let ask = |ceremony: &mut Ceremony| restart::ask(ceremony, reason);
        match side {
            Side::Hoster => {
                self.gated_step(side, Step::Restart, ask, |ceremony, hsm, _, approved| {
                    restart::restart(ceremony, approved, reason, |ceremony| {
                        remains::destroy(ceremony, hsm)
                    })
                })
            }
            Side::Tenant => self.gated(side, ask, |ceremony, approved| {
                restart::restart(ceremony, approved, reason, |_| Ok(Vec::new()))
            }),
        }
    }

    /// Ends the ceremony for good.
    pub(super) fn abort(&self, side: Side, reason: &str, without_hsm: bool) -> ExitCode {
        let ask = |ceremony: &mut Ceremony| abort::ask(ceremony, reason);
        if without_hsm {
            // Ending it is possible on any machine.
            return self.unguarded(
                side,
                Box::new(|ceremony, _| {
                    self.require_mirror(&ceremony.plan)?;
                    let approved = ask(ceremony)?;
                    abort::abort(ceremony, &approved, reason, None)
                }),
            );
        }
        if side == Side::Tenant {
            // Where the keys are born at the hoster, the tenant's HSM takes no part.
            return self.step(
                side,
                Box::new(|ceremony, asker| {
                    if ceremony.plan.way.is_challenged() {
                        let approved = ask(ceremony)?;
                        return abort::abort(ceremony, &approved, reason, Some(Vec::new()));
                    }
                    let choice = self.token_choice()?;
                    let approved = ask(ceremony)?;
                    with_token(ceremony, Step::Abort, &choice, asker, |ceremony, hsm| {
                        let left = trust::look(ceremony, hsm)?;
                        abort::abort(ceremony, &approved, reason, Some(left))
                    })
                }),
            );
        }
        self.gated_step(side, Step::Abort, ask, |ceremony, hsm, _, approved| {
            let left = remains::look(ceremony, hsm)?;
            abort::abort(ceremony, approved, reason, Some(left))
        })
    }
}
