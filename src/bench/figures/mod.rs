//! What a run is measured by, and how that is shown.

pub mod histogram;
pub mod html;
pub mod live;
pub mod measure;
pub mod numbers;
pub mod plot;
pub mod report;
pub mod series;
pub mod table;
pub mod usage;
