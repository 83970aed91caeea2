SELECT entry, epoch, "offset" FROM tocsin_outcome
 WHERE key = %(key)s AND topic = %(topic)s AND word = %(word)s
