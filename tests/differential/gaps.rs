//! What leveret does not do yet. A case that proves such a line may fail against leveret; once all of
//! them pass, the test demands that the line leaves this list.

/// One line of the behaviour reference that is still open.
pub struct Gap {
    pub id: &'static str,
    pub what: &'static str,
}

/// The whole list.
pub const GAPS: &[Gap] = &[];
