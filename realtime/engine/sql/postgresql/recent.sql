-- What was published last, for hubs that the former leader may not have told.
SELECT r.topic, h.epoch, r."offset", r.op::text, r.key, r.body::text, r.counts::text,
       (extract(epoch FROM r.written_at) * 1000)::bigint, r.entry, r.mark, r.about::text
  FROM (SELECT * FROM tocsin_log WHERE moved_at > clock_timestamp() - make_interval(secs => %(age_s)s)
         ORDER BY moved_at DESC LIMIT %(rows)s) r
  JOIN tocsin_head h ON h.topic = r.topic
 ORDER BY r.topic, r."offset"
