-- Every epoch anew: no position handed out before is one of these logs any more.
WITH names AS (UPDATE tocsin_namespace SET epoch = %(epoch)s)
UPDATE tocsin_head SET epoch = %(epoch)s
