//! What a file holds is read strictly everywhere: nobody can forget it at one type. (Rust demands
//! that such an attribute is made by a crate of its own.)

use proc_macro::TokenStream;

/// Before a type that is written to a file and read back by the names of its fields: a field that
/// it does not have refuses the file.
#[proc_macro_attribute]
pub fn strict_json(_: TokenStream, item: TokenStream) -> TokenStream {
    let derives = "#[derive(Debug, Clone, PartialEq, Eq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(deny_unknown_fields)]";
    derives.parse::<TokenStream>().into_iter().chain([item]).collect()
}
