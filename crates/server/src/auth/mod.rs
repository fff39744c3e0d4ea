//! Who is there, and what they may do.

pub(crate) mod acl;
mod base64_text;
pub(crate) mod basic;
mod der;
pub(crate) mod distinguished_name;
mod failures;
pub(crate) mod mapping;
pub(crate) mod passwords;
pub(crate) mod principal;
pub(crate) mod sasl;
pub(crate) mod users;
pub(crate) mod verifier;

pub(crate) use principal::Principal;
