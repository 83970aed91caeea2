UPDATE tocsin_head SET epoch = %(epoch)s
