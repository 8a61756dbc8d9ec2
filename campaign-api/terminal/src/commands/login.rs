//! Keeps where the API is and where the key lies; the key itself stays in its file.

use dialer_types::say;
use serde_json::json;

use crate::{
    api::Api,
    arguments::Global,
    config::{self, Saved},
    desk::print,
    trouble::Trouble,
    words::Tongue,
};

pub(crate) fn run(global: &Global, tongue: Tongue) -> Result<(), Trouble> {
    let (Some(api), Some(key_file)) = (&global.api, &global.key_file) else {
        return Err(Trouble::Usage(say!(
            "name both: ./ringfence login --api http://HOST:PORT --key-file FILE"
        )));
    };
    let access = config::access(global)?;
    let api_address = config::address(api)?;
    // Kept only when they work.
    Api::new(access, tongue).get("/v1/sellers", &[])?;
    let key_file =
        std::path::absolute(key_file).map_err(|error| config::trouble(key_file, &error))?;
    let file = config::save(&Saved { api: Some(api_address), key_file: Some(key_file) })?;
    let file = file.display().to_string();
    if global.json {
        return print(&format!("{}\n", json!({ "saved": file })));
    }
    let done = say!("saved in {file}: from now on no flags and no variables are needed", file);
    print(&format!("{}\n", tongue.tell(&done)))
}
