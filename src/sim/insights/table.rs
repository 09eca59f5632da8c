//! Events as the table `customEvents`, with the classic column names that the Application Insights API keeps.

use serde_json::Value;

use super::{
    envelope::Event,
    kql::{Cell, Column, Kind, Row, Table},
};
use crate::sim::settings::Settings;

const COLUMNS: [(&str, Kind); 18] = [
    ("timestamp", Kind::Time),
    ("name", Kind::Text),
    ("itemType", Kind::Text),
    ("customDimensions", Kind::Dynamic),
    ("customMeasurements", Kind::Dynamic),
    ("operation_Name", Kind::Text),
    ("operation_Id", Kind::Text),
    ("operation_ParentId", Kind::Text),
    ("session_Id", Kind::Text),
    ("user_Id", Kind::Text),
    ("cloud_RoleName", Kind::Text),
    ("cloud_RoleInstance", Kind::Text),
    ("appId", Kind::Text),
    ("appName", Kind::Text),
    ("iKey", Kind::Text),
    ("sdkVersion", Kind::Text),
    ("itemId", Kind::Text),
    ("itemCount", Kind::Int),
];

/// The columns, and a row for each event.
pub fn custom_events<'a>(events: impl Iterator<Item = &'a Event>, settings: &Settings) -> Table {
    Table {
        columns: COLUMNS.map(|(name, kind)| Column { name: name.into(), kind }).into(),
        rows: events.map(|event| row(event, settings)).collect(),
    }
}

fn row(event: &Event, settings: &Settings) -> Row {
    let dynamic = |value: &std::sync::Arc<Value>| match value.is_null() {
        true => Cell::Null,
        false => Cell::Dynamic(value.clone()),
    };
    let cell = |(name, _): (&str, Kind)| match name {
        "timestamp" => Cell::Time(event.timestamp),
        "name" => Cell::Text(event.name.clone()),
        "itemType" => Cell::Text("customEvent".into()),
        "customDimensions" => dynamic(&event.dimensions),
        "customMeasurements" => dynamic(&event.measurements),
        "appId" => Cell::Text(settings.insights_app_id.clone()),
        "appName" => Cell::Text(settings.insights_name.clone()),
        "iKey" => Cell::Text(event.ikey.clone()),
        "itemId" => Cell::Text(event.item_id.clone()),
        "itemCount" => Cell::Long(event.item_count),
        _ => Cell::Text(event.tags.get(tag(name)).and_then(Value::as_str).unwrap_or_default().to_owned()),
    };
    Row { cells: COLUMNS.into_iter().map(cell).collect(), ingested: event.ingested }
}

/// The envelope's tag that fills a column.
fn tag(column: &str) -> &'static str {
    match column {
        "operation_Name" => "ai.operation.name",
        "operation_Id" => "ai.operation.id",
        "operation_ParentId" => "ai.operation.parentId",
        "session_Id" => "ai.session.id",
        "user_Id" => "ai.user.id",
        "cloud_RoleName" => "ai.cloud.role",
        "cloud_RoleInstance" => "ai.cloud.roleInstance",
        "sdkVersion" => "ai.internal.sdkVersion",
        _ => "",
    }
}
