//! What a side does, and what waits for signatures.

/// Makes the steps from their table: the name; whether the intent is on record before anything is
/// touched; whether it works in the HSM; and the gate that it waits at.
macro_rules! steps {
    ($(#[$doc:meta])+ $($step:ident $name:literal $intent:tt $hsm:tt $gate:tt;)+) => {
        named! {
            $(#[$doc])+
            #[allow(missing_docs)] // the table of the flow says what each is
            pub enum Step { $($step = $name,)+ }
        }

        impl Step {
            /// Whether its intent is on record before anything is touched.
            pub const fn has_intent(self) -> bool {
                match self { $(Step::$step => steps!(@is $intent),)+ }
            }

            /// Whether it works in the HSM, on some way or other.
            pub const fn in_hsm(self) -> bool {
                match self { $(Step::$step => steps!(@is $hsm),)+ }
            }

            /// The gate that it waits at.
            pub const fn gate(self) -> Option<Gate> {
                match self { $(Step::$step => steps!(@gate $gate),)+ }
            }
        }
    };
    (@is -) => { false };
    (@is intent) => { true };
    (@is hsm) => { true };
    (@gate -) => { None };
    (@gate $gate:tt) => { Some(Gate::$gate) };
}

steps! {
    /// What a side can do.
    Init            "init"              -       -    -;
    KekCreate       "kek-create"        intent  hsm  -;
    OfferCheck      "offer-check"       -       -    -;
    KekTrust        "kek-trust"         intent  hsm  -;
    KeysCreate      "keys-create"       intent  hsm  -;
    KeysCheck       "keys-check"        intent  -    -;
    Answer          "answer"            intent  hsm  -;
    Export          "export"            intent  hsm  Export;
    CloudExport     "cloud-export"      intent  hsm  Export;
    ImportPlain     "import-plain"      intent  hsm  Import;
    ShareConfirm    "share-confirm"     -       -    -;
    ShareReissue    "share-reissue"     -       -    -;
    Release         "release"           -       -    -;
    PackageCheck    "package-check"     -       -    -;
    Import          "import"            intent  hsm  Import;
    ReceiptCheck    "receipt-check"     -       -    -;
    Register        "register"          intent  -    -;
    Evidence        "evidence"          -       -    -;
    Primary         "primary"           intent  -    Primary;
    Registration    "registration"      intent  -    -;
    Rollback        "rollback"          intent  -    Rollback;
    Nodes           "nodes"             -       -    Nodes;
    Retire          "retire"            -       hsm  -;
    Accept          "accept"            intent  -    -;
    AcceptanceCheck "acceptance-check"  intent  -    -;
    KekDestroy      "kek-destroy"       intent  hsm  KekDestroy;
    KeysDestroy     "keys-destroy"      intent  hsm  KeysDestroy;
    SourceDestroy   "source-destroy"    intent  hsm  SourceDestroy;
    Restart         "restart"           intent  hsm  Restart;
    Abort           "abort"             -       hsm  Abort;
    Close           "close"             -       -    -;
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
