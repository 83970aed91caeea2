UPDATE tocsin_namespace SET epoch = %(epoch)s
