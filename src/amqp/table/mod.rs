//! AMQP field tables: message headers and method arguments.
//!
//! Message headers stay the bytes they came as: [`check_table`] proves once that they are well formed, and
//! [`TableRef`] reads them in place. Method arguments become `amq_protocol` values by [`parse_field_table`].
//! Nothing here recurses deeper than the named limit, and nothing allocates by a length the peer claims.

mod check;
mod equal;
mod parse;
mod type_name;
mod view;

#[cfg(test)]
mod tests;

pub use check::{TABLE_DEPTH_MAX, TableError, check_table};
pub use equal::{hash_field, hash_value, value_matches};
pub use parse::{field_table_bytes, parse_field_table};
pub use type_name::value_type_name;
pub use view::{ArrayIter, ArrayRef, FieldRef, TableIter, TableRef};
