//! Enums whose values have one name each.

/// Makes an enum whose values have one name each, the same in plans, documents, logs, commands and
/// on screens: never what `Debug` says.
#[macro_export]
macro_rules! named {
    (
        $(#[$meta:meta])*
        pub enum $type:ident { $($(#[$value_meta:meta])* $value:ident = $name:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            ::serde::Serialize, ::serde::Deserialize,
        )]
        pub enum $type { $($(#[$value_meta])* #[serde(rename = $name)] $value,)+ }

        impl $type {
            /// All of them, in their order.
            pub const ALL: [$type; [$($name),+].len()] = [$($type::$value),+];

            /// The name.
            pub const fn name(self) -> &'static str {
                match self { $($type::$value => $name,)+ }
            }
        }

        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl ::std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> ::std::result::Result<Self, String> {
                $type::ALL
                    .into_iter()
                    .find(|one| one.name() == text)
                    .ok_or_else(|| format!("expected one of {}", [$($name),+].join(", ")))
            }
        }
    };
}
