-- Prompts of running campaigns that a node cannot play, for "stalled: no prompt": no call is
-- placed that would have nothing to say.
CREATE TABLE prompt_state (
    node        uuid NOT NULL,
    campaign_id uuid NOT NULL REFERENCES campaign,
    reason      text NOT NULL,             -- missing, unreadable or format
    since       bigint NOT NULL,
    PRIMARY KEY (node, campaign_id)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON prompt_state TO ringfence_app;
