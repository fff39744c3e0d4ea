//! Who is there, and what they may do.

mod der;
pub(crate) mod distinguished_name;
pub(crate) mod mapping;
pub(crate) mod principal;

pub(crate) use principal::Principal;
