//! Field tables: whatever octets come, the check, the view and the parser agree, and writing is stable.
#![no_main]

use leveret::amqp::table::{
    ArrayRef, FieldRef, TABLE_DEPTH_MAX, TableError, TableRef, check_table, field_table_bytes, hash_field,
    hash_value, parse_field_table, value_matches, value_type_name,
};
use leveret::amqp::{AMQPValue, FieldTable};
use libfuzzer_sys::fuzz_target;
use std::hash::{DefaultHasher, Hasher};

fuzz_target!(|octets: &[u8]| {
    let checked = check_table(octets, TABLE_DEPTH_MAX);
    let seen = fields_of(TableRef::new(octets), 0);
    let parsed = parse_field_table(octets);
    match (checked, &parsed) {
        (Ok(()), Ok(table)) => {
            assert!(seen >= table.inner().len(), "the view hides fields");
            stable(octets, table);
        }
        (Ok(()), Err(error)) => {
            assert_eq!(*error, TableError::NameNotUtf8, "a checked table is refused for its names only");
        }
        (Err(error), parsed) => {
            assert_eq!(parsed.as_ref().err(), Some(&error), "an unchecked table is parsed")
        }
    }
});

/// Reads everything that the view shows of a table, malformed or not; says how many fields it has itself.
fn fields_of(table: TableRef<'_>, depth: usize) -> usize {
    table
        .iter()
        .inspect(|(name, field)| {
            let found = table.find(name).expect("what is iterated is found");
            assert!(depth != 0 || !found.type_name().is_empty());
            value_of(*field, depth);
        })
        .count()
}

fn value_of(field: FieldRef<'_>, depth: usize) {
    // Octets that were not checked may be nested without end; a reader goes as deep as it trusts them.
    if depth < TABLE_DEPTH_MAX {
        match field {
            FieldRef::Table(table) => drop(fields_of(table, depth + 1)),
            FieldRef::Array(array) => elements_of(array, depth + 1),
            _ => {}
        }
    }
}

fn elements_of(array: ArrayRef<'_>, depth: usize) {
    array.iter().for_each(|field| value_of(field, depth));
}

/// Writing a table and reading it again changes nothing, and what is written first is written ever after.
fn stable(octets: &[u8], table: &FieldTable) {
    let written = field_table_bytes(table);
    assert_eq!(check_table(&written, TABLE_DEPTH_MAX), Ok(()), "what we write passes our own check");
    let again = parse_field_table(&written).expect("what we write is read back");
    assert_eq!(field_table_bytes(&again), written);
    let view = TableRef::new(octets);
    for (name, value) in table.inner() {
        let name = name.as_str().as_bytes();
        let last = view.iter().filter(|(other, _)| *other == name).last();
        let (_, field) = last.expect("a parsed field is in the view");
        assert_eq!(value_type_name(value), field.type_name());
        compare(value, field);
    }
}

/// Equal values hash equal, whichever side they are on; only a NaN and a repeated name equal nothing.
fn compare(value: &AMQPValue, field: FieldRef<'_>) {
    if value_matches(value, field) {
        let (mut one, mut other) = (DefaultHasher::new(), DefaultHasher::new());
        hash_value(value, &mut one);
        hash_field(field, &mut other);
        assert_eq!(one.finish(), other.finish());
    } else {
        assert!(may_differ(field), "{field:?} does not match what was parsed from it");
    }
}

fn may_differ(field: FieldRef<'_>) -> bool {
    match field {
        FieldRef::F32(value) => value.is_nan(),
        FieldRef::F64(value) => value.is_nan(),
        FieldRef::Array(array) => array.iter().any(may_differ),
        FieldRef::Table(table) => {
            let mut names: Vec<&[u8]> = table.iter().map(|(name, _)| name).collect();
            names.sort_unstable();
            let repeated = names.windows(2).any(|pair| pair[0] == pair[1]);
            repeated || table.iter().any(|(_, field)| may_differ(field))
        }
        _ => false,
    }
}
