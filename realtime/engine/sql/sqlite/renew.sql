UPDATE tocsin_namespace SET epoch = %(epoch)s WHERE name = %(namespace)s
