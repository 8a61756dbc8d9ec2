//! Sans-IO SIP user agent client.
