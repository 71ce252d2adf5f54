//! What a side does, and what waits for signatures.

named! {
    /// What a side can do.
    #[allow(missing_docs)] // the table of the flow says what each is
    pub enum Step {
        Init = "init",
        KekCreate = "kek-create",
        OfferCheck = "offer-check",
        KekTrust = "kek-trust",
        KeysCreate = "keys-create",
        KeysCheck = "keys-check",
        Answer = "answer",
        Export = "export",
        CloudExport = "cloud-export",
        ImportPlain = "import-plain",
        ShareConfirm = "share-confirm",
        ShareReissue = "share-reissue",
        Release = "release",
        PackageCheck = "package-check",
        Import = "import",
        ReceiptCheck = "receipt-check",
        Register = "register",
        Evidence = "evidence",
        Primary = "primary",
        Registration = "registration",
        Rollback = "rollback",
        Nodes = "nodes",
        Retire = "retire",
        Accept = "accept",
        AcceptanceCheck = "acceptance-check",
        KekDestroy = "kek-destroy",
        KeysDestroy = "keys-destroy",
        SourceDestroy = "source-destroy",
        Restart = "restart",
        Abort = "abort",
        Close = "close",
    }
}

impl Step {
    /// Whether its intent is on record before anything is touched.
    pub fn has_intent(self) -> bool {
        !matches!(
            self,
            Step::Init
                | Step::OfferCheck
                | Step::ShareConfirm
                | Step::ShareReissue
                | Step::Release
                | Step::PackageCheck
                | Step::ReceiptCheck
                | Step::Evidence
                | Step::Nodes
                | Step::Retire
                | Step::Abort
                | Step::Close
        )
    }

    /// The gate that the step waits at.
    pub fn gate(self) -> Option<Gate> {
        Some(match self {
            Step::Export | Step::CloudExport => Gate::Export,
            Step::Import | Step::ImportPlain => Gate::Import,
            Step::Primary => Gate::Primary,
            Step::Rollback => Gate::Rollback,
            Step::Nodes => Gate::Nodes,
            Step::KekDestroy => Gate::KekDestroy,
            Step::KeysDestroy => Gate::KeysDestroy,
            Step::SourceDestroy => Gate::SourceDestroy,
            Step::Restart => Gate::Restart,
            Step::Abort => Gate::Abort,
            _ => return None,
        })
    }
}

named! {
    /// An act that waits for officers' signatures (design, section 5).
    pub enum Gate {
        /// The tenant's keys are wrapped and sealed.
        Export = "export",
        /// The hoster unwraps them.
        Import = "import",
        /// They become the primary keys of the service.
        Primary = "primary",
        /// What was primary before becomes so again.
        Rollback = "rollback",
        /// Nodes leave the service, or are replaced.
        Nodes = "nodes",
        /// The KEK goes.
        KekDestroy = "kek-destroy",
        /// After an abort, keys that were born at the hoster go.
        KeysDestroy = "keys-destroy",
        /// The tenant's originals go.
        SourceDestroy = "source-destroy",
        /// Another attempt begins.
        Restart = "restart",
        /// The ceremony ends without its aim.
        Abort = "abort",
        /// Something is not as it should be, and the ceremony goes on all the same.
        Deviation = "deviation",
        /// A PIN is tried although few tries are left.
        PinTry = "pin-try",
    }
}
