//! Users, their passwords and tags.

use serde_json::{Value, json};

use super::{Command, MANY, command};
use crate::ctl::{
    api::segment,
    call::{Call, refused},
    failure::{DATA, Failure, Result, SOFTWARE},
    output::Output,
    words::{Switch, flag},
};

const HASHED: &[Switch] = &[flag("pre-hashed-password")];
const NO_PASSWORD: &str = "Password is not provided via argument or stdin";

pub const COMMANDS: &[Command] = &[
    command(
        "add_user",
        "<username> [<password>] [--pre-hashed-password]",
        "Adds a user without any rights. A password that is not an argument is read from standard input",
        (1, 2),
        |call| format!("Adding user \"{}\" ...", call.arg(0)),
        add,
    )
    .with(HASHED),
    command(
        "authenticate_user",
        "<username> [<password>]",
        "Ends well if the password is the user's",
        (1, 2),
        |call| format!("Authenticating user \"{}\" ...", call.arg(0)),
        authenticate,
    ),
    command(
        "change_password",
        "<username> [<password>] [--pre-hashed-password]",
        "Gives a user another password",
        (1, 2),
        |call| format!("Changing password for user \"{}\" ...", call.arg(0)),
        change_password,
    )
    .with(HASHED),
    command(
        "clear_password",
        "<username>",
        "Takes a user's password away, so that it cannot log in by one",
        (1, 1),
        |call| format!("Clearing password for user \"{}\" ...", call.arg(0)),
        clear_password,
    ),
    command(
        "delete_user",
        "<username>",
        "Removes a user and closes its connections",
        (1, 1),
        |call| format!("Deleting user \"{}\" ...", call.arg(0)),
        delete,
    ),
    command(
        "hash_password",
        "[<password>]",
        "Prints what is kept of a password",
        (0, 1),
        |_| "Will hash password".to_owned(),
        hash,
    ),
    command(
        "list_users",
        "[--no-table-headers]",
        "Lists users with their tags",
        (0, 0),
        |_| "Listing users ...".to_owned(),
        list,
    ),
    command(
        "set_user_tags",
        "<username> [<tag> ...]",
        "Gives a user these tags and no others",
        (1, MANY),
        |call| {
            let tags = call.args.get(1..).unwrap_or_default().join(", ");
            format!("Setting tags for user \"{}\" to [{tags}] ...", call.arg(0))
        },
        set_tags,
    ),
];

fn path(name: &str) -> String {
    format!("users/{}", segment(name))
}

fn add(call: &mut Call) -> Result<Output> {
    let name = call.arg(0).to_owned();
    if name.is_empty() {
        return Err(Failure::argument("user cannot be an empty string"));
    }
    let password = call.arg_or_input(1, "Password: ", NO_PASSWORD)?;
    if call.get(&path(&name))?.is_fine() {
        return Err(Failure::new(SOFTWARE, format!("User \"{name}\" already exists")));
    }
    let key = if call.has("pre-hashed-password") { "password_hash" } else { "password" };
    call.put(&path(&name), &json!({ key: password, "tags": [] }))?;
    Ok(Output::text(
        "Done. Don't forget to grant the user permissions to some virtual hosts! \
         See 'rabbitmqctl help set_permissions' to learn more.",
    ))
}

fn authenticate(call: &mut Call) -> Result<Output> {
    let name = call.arg(0).to_owned();
    let password = call.arg_or_input(1, "Password: ", NO_PASSWORD)?;
    let reply = call.api.ask_as(&name, &password, "whoami").map_err(|silence| call.silent(&silence))?;
    // Who is refused for want of a tag had the right password.
    if reply.is_fine() || reply.reason() == "Not management user" {
        return Ok(Output::text("Success"));
    }
    Err(Failure::new(
        DATA,
        format!("Error: failed to authenticate user \"{name}\"\nuser '{name}' - invalid credentials"),
    ))
}

/// Changes some of what a user is made of.
fn change(call: &mut Call, name: &str, key: &str, value: Value) -> Result<Output> {
    let user = call.user(name)?;
    let mut changed = json!({ "tags": user["tags"], key: value });
    if key == "tags" {
        changed["password_hash"] = user["password_hash"].clone();
        changed["hashing_algorithm"] = user["hashing_algorithm"].clone();
    }
    call.put(&path(name), &changed)?;
    Ok(Output::Nothing)
}

fn change_password(call: &mut Call) -> Result<Output> {
    let name = call.arg(0).to_owned();
    let password = call.arg_or_input(1, "Password: ", NO_PASSWORD)?;
    let key = if call.has("pre-hashed-password") { "password_hash" } else { "password" };
    change(call, &name, key, Value::from(password))
}

fn clear_password(call: &mut Call) -> Result<Output> {
    let name = call.arg(0).to_owned();
    change(call, &name, "password_hash", Value::from(""))
}

fn set_tags(call: &mut Call) -> Result<Output> {
    let name = call.arg(0).to_owned();
    let tags: Vec<&str> = call.args.iter().skip(1).flat_map(|tag| tag.split(',')).map(str::trim).collect();
    let tags: Vec<&str> = tags.into_iter().filter(|tag| !tag.is_empty()).collect();
    let tags = json!(tags);
    change(call, &name, "tags", tags)
}

fn delete(call: &mut Call) -> Result<Output> {
    let name = call.arg(0).to_owned();
    let reply = call.ask(hyper::Method::DELETE, &path(&name), None)?;
    match reply.status {
        404 => Err(Failure::no_user(&name)),
        _ if reply.is_fine() => Ok(Output::Nothing),
        _ => Err(refused(&reply)),
    }
}

fn hash(call: &mut Call) -> Result<Output> {
    let password = call.arg_or_input(0, "Password: ", NO_PASSWORD)?;
    let hashed = call.get_json(&format!("auth/hash_password/{}", segment(&password)))?;
    Ok(Output::text(hashed["ok"].as_str().unwrap_or_default()))
}

fn list(call: &mut Call) -> Result<Output> {
    let users = call.get_json("users")?;
    let rows = users.as_array().into_iter().flatten();
    Ok(Output::Rows {
        columns: ["user", "tags"].map(str::to_owned).to_vec(),
        rows: rows.map(|user| vec![user["name"].clone(), user["tags"].clone()]).collect(),
    })
}
