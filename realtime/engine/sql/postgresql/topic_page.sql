SELECT topic FROM tocsin_head WHERE topic > %(after)s ORDER BY topic LIMIT %(topics)s
