-- What is dropped by age is found by it, and what belongs to a drift by the drift.
CREATE INDEX message_alerts_by_drift ON message_alerts (drift);
CREATE INDEX drifts_over ON drifts (closed_ms) WHERE live = 0;
CREATE INDEX messages_over ON messages (created_ms) WHERE state <> 'waiting';

-- Critical events about plumb itself are looked for at each record: those of a host's other watchers are not walked through.
DROP INDEX events_critical;
CREATE INDEX events_critical ON events (host, received_ms) WHERE severity = 3 AND watcher IN ('collector', 'agent');
