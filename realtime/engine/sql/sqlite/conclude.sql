UPDATE tocsin_outcome SET entry = %(entry)s, epoch = %(epoch)s, "offset" = %(offset)s
 WHERE key = %(key)s AND topic = %(topic)s AND word = %(word)s
